// The page's flow: photograph, lesion, person, release. State lives here and in the stage; the program
// keeps a copy of the photograph in memory, which the page can give again after a lost connection.

import { call, callJson, takeToken, adoptAddress, RequestError } from "/session.js";
import { tinted } from "/mask.js";
import { Stage } from "/stage.js";
import { custom, warning } from "/today.js";

const $ = (id) => document.getElementById(id);
const POINTS = ["Eye on the left", "Eye on the right", "Tip of the nose", "Mouth corner on the left", "Mouth corner on the right"];
const STEPS = ["photo", "lesion", "face", "release"];
const state = { file: null, id: null, step: "photo", ita: null, seed: 0, told: null, urls: [], choice: 0, maskSent: false };

const stage = new Stage($("canvas"), {
  painted: () => { state.maskSent = false; update(); },
  clicked: (x, y) => (state.step === "lesion" ? propose(x, y) : measure(x, y)),
  moved: () => { state.found = false; listPoints(); },
  chosen: () => listPoints(),
  splitted: (value) => { $("split").value = Math.round(100 * value); },
});

function say(sentence) {
  $("message").textContent = sentence || "";
}

async function busy(what, work) {
  say("");
  $("busy").textContent = what;
  $("busy").hidden = false;
  document.body.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    if (error.status === 401 && askAddress()) return busy(what, work);
    if (!(error instanceof RequestError)) console.error(error.name);
    say(error instanceof RequestError ? error.message : "Something went wrong in the page; reload it.");
    return null;
  } finally {
    $("busy").hidden = true;
    document.body.removeAttribute("aria-busy");
  }
}

// The program was started again: its new address lets this page, with all that is painted, go on.
function askAddress() {
  return adoptAddress(prompt("Paste the address that jaxderm printed when it started:") || "");
}

// Work on the open case; where the program has forgotten it, the photograph is given again, and the mask if painted.
async function kept(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 410 || !state.file) throw error;
    await upload();
    if (!stage.mask.isEmpty) await sendMask();
    return work();
  }
}

const about = (method, path, value) => kept(() => callJson(method, `cases/${state.id}/${path}`, value));

async function upload() {
  const response = await call("POST", "cases", { body: state.file });
  Object.assign(state, JSON.parse(response.headers.get("x-case")), { maskSent: false });
  return response.blob();
}

async function openFile(file) {
  if (!file) return;
  await busy("Reading the photograph", async () => {
    await forget();
    state.file = file;
    const echo = await upload();
    stage.open(await createImageBitmap(echo));
    state.conversion = state.conversion || [];
    Object.assign(state, { told: null, ita: null, seed: 0, choice: 0 });
    $("drop").hidden = true;
    $("zoom").hidden = $("close-case").hidden = false;
    go("lesion");
    if (state.conversion.length) say(`The photograph was converted: ${state.conversion.join("; ")}.`);
  });
  $("file").value = "";
}

async function forget() {
  dropUrls();
  if (state.id) await call("DELETE", `cases/${state.id}`, { keepalive: true }).catch(() => {});
  Object.assign(state, { id: null, file: null, told: null, maskSent: false });
  stage.close();
  $("drop").hidden = false;
  $("zoom").hidden = $("close-case").hidden = true;
}

function dropUrls() {
  state.urls.forEach((url) => URL.revokeObjectURL(url));
  state.urls = [];
}

async function sendMask() {
  if (state.maskSent) return;
  const body = await stage.mask.png();
  await kept(() => call("PUT", `cases/${state.id}/mask`, { body }));
  state.maskSent = true;
}

function go(step) {
  state.step = step;
  for (const name of STEPS) {
    $(`panel-${name}`).hidden = name !== step;
    const button = document.querySelector(`[data-step=${name}]`);
    name === step ? button.setAttribute("aria-current", "step") : button.removeAttribute("aria-current");
  }
  stage.mode = { photo: "none", lesion: "paint", face: modeOfFace(), release: "compare" }[step];
  $("slider").hidden = step !== "release";
  document.querySelector("nav").scrollTop = 0;
  if (stage.photo) stage.fit();
  update();
  stage.render();
}

function modeOfFace() {
  if ($("tone").value === "click" && state.ita === null) return "click";
  return isFace() && stage.points ? "points" : "none";
}

const isFace = () => $("site").value === "face";

function update() {
  const mask = stage.mask;
  const painted = Boolean(mask && !mask.isEmpty);
  $("undo").disabled = !mask?.strokes.length;
  $("redo").disabled = !mask?.undone.length;
  $("clear").disabled = $("to-face").disabled = !painted;
  document.querySelector("[data-step=lesion]").disabled = !state.id;
  document.querySelector("[data-step=face]").disabled = !painted;
  document.querySelector("[data-step=release]").disabled = !state.told;
  $("brush").max = stage.photo ? Math.round(Math.min(stage.photo.width, stage.photo.height) / 4) : 100;
  $("brush").value = stage.brush;
  $("brush-out").textContent = `${stage.brush} px`;
  $("points").hidden = !isFace();
}

async function propose(x, y) {
  await busy("Looking for the lesion's outline", async () => {
    const options = { body: JSON.stringify({ x, y }), headers: { "Content-Type": "application/json" } };
    const response = await kept(() => call("POST", `cases/${state.id}/proposal`, options));
    stage.proposal = await tinted(await response.blob());
    $("proposal").hidden = false;
    $("accept").focus();
    stage.render();
  });
}

function endProposal(accept) {
  if (accept && stage.proposal) {
    stage.mask.add({ kind: "bitmap", bitmap: stage.proposal });
    state.maskSent = false;
  }
  stage.proposal = null;
  $("proposal").hidden = true;
  update();
  stage.render();
}

async function measure(x, y) {
  await busy("Measuring the skin", async () => {
    await sendMask();
    state.ita = (await about("POST", "tone", { x, y })).ita;
    $("tone-told").textContent = `Measured: ${state.ita} degrees of ITA. Choose "where I click" again for another place.`;
    stage.mode = modeOfFace();
    stage.render();
  });
}

async function findPoints() {
  await busy("Looking for the face", async () => {
    stage.points = (await about("POST", "landmarks")).points;
    state.found = true;
    stage.mode = "points";
    listPoints();
  });
}

function placePoints() {
  state.found = false;
  const { width, height } = stage.photo;
  const at = [[0.38, 0.4], [0.62, 0.4], [0.5, 0.55], [0.4, 0.7], [0.6, 0.7]];
  stage.points = at.map(([x, y]) => [x * width, y * height]);
}

function listPoints() {
  const list = $("point-list");
  if (list.childElementCount !== (stage.points ? 5 : 0)) {
    list.replaceChildren(...(stage.points ? POINTS : []).map((name, i) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "point", value: i });
      input.addEventListener("change", () => { stage.point = i; stage.render(); });
      label.append(input, `${i + 1} ${name}`);
      return label;
    }));
  }
  const chosen = list.querySelector(`[value="${stage.point}"]`);
  if (chosen) chosen.checked = true;
  stage.render();
}

function facts() {
  const value = { candidates: 4, seed: state.seed, site: $("site").value, sex: $("sex").value, view: $("view").value };
  value.age = $("age").value || null;
  value.pixels_per_cm = $("scale").value || null;
  if ($("tone").value === "click") value.ita = state.ita;
  else value.skin_type = $("tone").value;
  if (isFace()) {
    const given = stage.points && !state.found; // untouched points are the program's own, and say so
    value.landmarks = stage.points && !given ? "auto" : stage.points ? stage.points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ") : "none";
  }
  return value;
}

async function make() {
  if ($("tone").value === "click" && state.ita === null) return say("Click on unaffected skin in the photograph first.");
  await busy("Drawing people", async () => {
    await sendMask();
    const told = await about("POST", "releases", facts());
    dropUrls();
    const blobs = await Promise.all(
      [...Array(told.candidates).keys()].map(async (n) => (await call("GET", `cases/${state.id}/releases/${n}`)).blob()),
    );
    state.pictures = await Promise.all(blobs.map((blob) => createImageBitmap(blob)));
    state.urls = blobs.map((blob) => URL.createObjectURL(blob));
    Object.assign(state, { told, choice: 0 });
    show();
    go("release");
  });
}

function show() {
  const { told } = state;
  $("candidates").replaceChildren(...state.urls.map((src, n) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "candidate", value: n, checked: n === state.choice });
    input.setAttribute("aria-label", `Candidate ${n + 1}`);
    input.addEventListener("change", () => { state.choice = n; compare(); audit(); });
    label.append(input, Object.assign(document.createElement("img"), { src, alt: `Release ${n + 1}` }));
    return label;
  }));
  const words = (value) => (value === null ? "unspecified" : Array.isArray(value) ? value.map((v) => (Array.isArray(v) ? v.join(",") : v)).join(" ") : String(value));
  $("facts").replaceChildren(...Object.entries(told.facts).map(([name, fact]) => {
    const row = document.createElement("tr");
    row.append(...[name.replaceAll("_", " "), words(fact.value), fact.origin].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
  compare();
  audit();
}

function audit() {
  const { told } = state;
  const lines = [[told.exact ? `Every one of the ${told.kept.toLocaleString("en")} kept pixels is the photograph's.` : "Kept pixels differ: do not use this release.", !told.exact]];
  lines.push([`The kept area is ${(100 * told.share_of_frame).toFixed(1)} % of the picture.`, false]);
  if (told.recogniser) {
    const { distances, threshold, name } = told.recogniser;
    const near = distances[state.choice] <= threshold;
    lines.push([`A face recogniser (${name}) puts photograph and release ${distances[state.choice]} apart; up to ${threshold} it calls them one person.`, near]);
  } else {
    lines.push(["No face recogniser is installed, or it sees no face here: likeness was not measured.", false]);
  }
  told.warnings.forEach((text) => lines.push([text, true]));
  $("audit").replaceChildren(...lines.map(([text, warn]) => Object.assign(document.createElement("li"), { textContent: text, className: warn ? "warn" : "" })));
}

function compare() {
  const method = $("compare").value;
  const frame = state.told.frame;
  const before = new OffscreenCanvas(frame.width, frame.height);
  before.getContext("2d").drawImage(stage.photo, -frame.x, -frame.y);
  const after = state.pictures[state.choice];
  const today = method === "release" ? null : custom(method, stage.photo, frame, stage.points);
  stage.comparison = { before: today || before, after, ...frame };
  $("compare-told").textContent = today ? warning(method) : "";
  stage.render();
}

async function save(path, name, type) {
  await busy("Packing", async () => {
    const response = await call("GET", `cases/${state.id}/releases/${state.choice}${path}`);
    const blob = new Blob([await response.arrayBuffer()], { type });
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 30000);
  });
}

function options(id, values, chosen) {
  $(id).replaceChildren(...values.map((value) => Object.assign(document.createElement("option"), { value, textContent: value.replaceAll("_", " "), selected: value === chosen })));
}

function undoOrRedo(redo) {
  stage.mask?.[redo ? "redo" : "undo"]();
  state.maskSent = false;
  update();
  stage.render();
}

function setTool(tool) {
  stage.tool = tool;
  document.querySelector(`[name=tool][value=${tool}]`).checked = true;
  if (tool !== "proposal") endProposal(false);
  stage.render();
}

function listen() {
  $("file").addEventListener("change", (event) => openFile(event.target.files[0]));
  const area = $("stage");
  for (const kind of ["dragenter", "dragover"]) {
    area.addEventListener(kind, (event) => { event.preventDefault(); area.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) area.addEventListener(kind, () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => { event.preventDefault(); openFile(event.dataTransfer.files[0]); });
  document.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => go(button.dataset.step)));
  document.querySelectorAll("[name=tool]").forEach((input) => input.addEventListener("change", () => setTool(input.value)));
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    const kind = button.dataset.zoom;
    kind === "fit" ? stage.fit() : stage.zoom(kind === "in" ? 1.4 : 1 / 1.4);
  }));
  $("brush").addEventListener("input", (event) => { stage.brush = Number(event.target.value); update(); stage.render(); });
  $("undo").addEventListener("click", () => undoOrRedo(false));
  $("redo").addEventListener("click", () => undoOrRedo(true));
  $("clear").addEventListener("click", () => { stage.mask.add({ kind: "clear" }); state.maskSent = false; update(); stage.render(); });
  $("accept").addEventListener("click", () => endProposal(true));
  $("discard").addEventListener("click", () => endProposal(false));
  $("to-face").addEventListener("click", () => go("face"));
  $("find").addEventListener("click", async () => { await findPoints(); if (!stage.points) { placePoints(); stage.mode = "points"; listPoints(); } });
  $("no-points").addEventListener("click", () => { stage.points = null; stage.mode = "none"; listPoints(); });
  $("site").addEventListener("change", () => { stage.mode = modeOfFace(); update(); stage.render(); });
  $("tone").addEventListener("change", () => { state.ita = null; $("tone-told").textContent = $("tone").value === "click" ? "Click on unaffected skin in the photograph." : ""; stage.mode = modeOfFace(); stage.render(); });
  $("make").addEventListener("click", () => make());
  $("others").addEventListener("click", () => { state.seed += 1; make(); });
  $("change").addEventListener("click", () => go("face"));
  $("compare").addEventListener("change", compare);
  $("split").addEventListener("input", (event) => { stage.split = Number(event.target.value) / 100; stage.render(); });
  $("save").addEventListener("click", () => save("/files", "release.zip", "application/zip"));
  $("save-png").addEventListener("click", () => save("", "release.png", "image/png"));
  $("close-case").addEventListener("click", async () => { await forget(); go("photo"); });
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") { event.preventDefault(); undoOrRedo(event.shiftKey); return; }
    if (state.step !== "lesion" || event.ctrlKey || event.metaKey || /input|select/i.test(event.target.tagName) && event.target.type !== "radio") return;
    const tools = { b: "brush", e: "eraser", l: "lasso", p: "proposal" };
    if (tools[event.key]) setTool(tools[event.key]);
    if (event.key === "[" || event.key === "]") { stage.brush = Math.max(1, Math.round(stage.brush * (event.key === "]" ? 1.2 : 0.83))); update(); stage.render(); }
  });
  addEventListener("pagehide", () => { if (state.id) call("DELETE", `cases/${state.id}`, { keepalive: true }).catch(() => {}); });
}

async function start() {
  listen();
  if (!takeToken() && !askAddress()) return say("Open the address that jaxderm printed when it started.");
  await busy("Starting", async () => {
    const about = await callJson("GET", "about");
    options("site", about.sites, "face");
    options("sex", about.sexes, "unspecified");
    options("view", about.views, "unspecified");
    update();
  });
}

start();
