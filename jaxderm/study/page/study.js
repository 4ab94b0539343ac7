// One reader, one picture at a time. An answer is shown as given only once the program has it on its disk.

import { call, callJson, takeToken, adoptAddress, RequestError } from "/session.js";

const $ = (id) => document.getElementById(id);
const state = { reader: "", picture: null, since: 0, url: null };

async function guarded(work) {
  $("message").textContent = "";
  try {
    await work();
  } catch (error) {
    $("message").textContent = error instanceof RequestError ? error.message : "Something went wrong; reload the page.";
    if (error.status === 409) await guarded(async () => show(await callJson("GET", path())));
  }
}

const path = (rest = "") => `readers/${encodeURIComponent(state.reader)}${rest}`;

function choices(id, values) {
  $(id).append(...values.map((value) => {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "radio", name: id, value, required: true }), ` ${value}`);
    return label;
  }));
}

async function show(due) {
  const blob = due.picture === null ? null : await (await call("GET", path(`/pictures/${due.picture}`))).blob();
  if (state.url) URL.revokeObjectURL(state.url);
  state.url = blob && URL.createObjectURL(blob);
  $("who").hidden = true;
  $("due").hidden = blob === null;
  $("end").hidden = blob !== null;
  if (blob === null) {
    $("end").textContent = due.wait_days > 0
      ? `The first sitting is complete. The second begins in ${Math.ceil(due.wait_days)} days: thank you.`
      : "All pictures are judged: thank you.";
  } else {
    $("picture").src = state.url;
    $("answer").reset();
    state.picture = due.picture;
    state.since = performance.now();
    $("answer").querySelector("input").focus();
  }
  $("progress").textContent = `${due.done} of ${due.total}`;
}

$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  state.reader = $("code").value.trim();
  guarded(async () => show(await callJson("GET", path())));
});

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData($("answer"));
  guarded(async () => show(await callJson("POST", path(), {
    picture: state.picture,
    real: form.get("real") === "yes",
    confidence: Number(form.get("confidence")),
    diagnosis: form.get("diagnosis"),
    quality: Number(form.get("quality")),
    seconds: (performance.now() - state.since) / 1000,
  })));
});

addEventListener("keydown", (event) => {
  if ($("due").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const value = { r: "yes", g: "no" }[event.key.toLowerCase()];
  if (value) document.querySelector(`[name=real][value=${value}]`).checked = true;
});

async function start() {
  if (!takeToken()) adoptAddress(prompt("Paste the address that jaxderm printed when it started:") || "");
  await guarded(async () => {
    const study = await callJson("GET", "study");
    $("title").textContent = study.title;
    choices("confidence", ["1", "2", "3", "4", "5"]);
    choices("diagnosis", study.diagnoses);
    choices("quality", ["1", "2", "3", "4", "5"]);
  });
}

start();
