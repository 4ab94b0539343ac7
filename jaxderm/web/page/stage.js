// The stage: photograph, mask, points and comparison on one canvas, with zoom, pan, touch and keys.

import { Mask } from "/mask.js";

const HANDLE = 9; // radius of a point, in CSS pixels

export class Stage {
  // handlers: painted(), clicked(x, y), moved(index), chosen(index)
  constructor(canvas, handlers) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.handlers = handlers;
    this.mode = "none"; // none, paint, click, points, compare
    this.tool = "brush";
    this.brush = 30;
    this.points = null;
    this.point = 0;
    this.split = 0.5;
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas);
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => this[kind](event));
    }
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.keydown(event));
    canvas.addEventListener("keyup", (event) => { if (event.key === " ") this.space = false; });
    canvas.addEventListener("blur", () => { this.space = false; this.render(); });
    canvas.addEventListener("focus", () => this.render());
  }

  open(photo) {
    this.photo = photo;
    this.mask = new Mask(photo.width, photo.height);
    this.proposal = this.comparison = this.points = null;
    this.cross = [photo.width / 2, photo.height / 2];
    this.brush = Math.max(4, Math.round(Math.min(photo.width, photo.height) / 30));
    this.fit();
  }

  close() {
    this.photo = this.mask = this.proposal = this.comparison = this.points = null;
    this.render();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.ratio = ratio;
    if (this.photo) this.fit();
  }

  // The whole photograph, or what is compared, in the middle of the canvas.
  fit() {
    const { width, height } = this.photo;
    const shown = this.mode === "compare" && this.comparison ? this.comparison : { x: 0, y: 0, width, height };
    const pad = 24 * this.ratio;
    const below = this.mode === "compare" ? 70 * this.ratio : 0; // the slider
    const [w, h] = [this.canvas.width, this.canvas.height - below];
    this.scale = Math.min((w - pad) / shown.width, (h - pad) / shown.height);
    this.x = (w - shown.width * this.scale) / 2 - shown.x * this.scale;
    this.y = (h - shown.height * this.scale) / 2 - shown.y * this.scale;
    this.render();
  }

  zoom(factor, at) {
    const [x, y] = at || [this.canvas.width / 2, this.canvas.height / 2];
    const scale = Math.min(40, Math.max(0.02, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.render();
  }

  // From an event to photograph pixels.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.ratio;
    const y = (event.clientY - box.top) * this.ratio;
    return { on: [(x - this.x) / this.scale, (y - this.y) / this.scale], at: [x, y] };
  }

  pointerdown(event) {
    if (!this.photo) return;
    this.canvas.setPointerCapture(event.pointerId);
    const { on, at } = this.place(event);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) {
      this.endStroke(true);
      return;
    }
    if (event.button === 1 || this.space || this.mode === "none") {
      this.panning = true;
    } else if (this.mode === "compare") {
      this.splitting = true;
      this.splitAt(on);
    } else if (this.mode === "points") {
      const reach = (2.2 * HANDLE * this.ratio) / this.scale;
      const near = (this.points || []).findIndex((p) => p && Math.hypot(p[0] - on[0], p[1] - on[1]) < reach);
      if (near >= 0) this.point = near;
      else if (this.points) this.points[this.point] = on;
      this.dragging = Boolean(this.points);
      this.handlers.chosen(this.point);
    } else if (this.mode === "click" || this.tool === "proposal") {
      this.handlers.clicked(...on);
    } else {
      const kind = this.tool;
      this.stroke = { kind, size: this.brush, points: [on] };
      if (kind !== "lasso") this.mask.add(this.stroke);
    }
    this.render();
  }

  pointermove(event) {
    if (!this.photo) return;
    const { on, at } = this.place(event);
    this.hover = event.pointerType === "touch" ? null : on;
    const last = this.pointers.get(event.pointerId);
    if (last && this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
      const now = Math.hypot(at[0] - other[0], at[1] - other[1]);
      this.x += (at[0] - last[0]) / 2;
      this.y += (at[1] - last[1]) / 2;
      if (before > 0) this.zoom(now / before, [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
    } else if (last && this.panning) {
      this.x += at[0] - last[0];
      this.y += at[1] - last[1];
    } else if (last && this.splitting) {
      this.splitAt(on);
    } else if (last && this.dragging) {
      this.points[this.point] = on;
    } else if (last && this.stroke) {
      for (const part of event.getCoalescedEvents?.() || [event]) {
        this.stroke.points.push(this.place(part).on);
      }
      if (this.stroke.points.at(-1) === undefined) this.stroke.points.push(on);
      if (this.stroke.kind !== "lasso") this.mask.draw(this.stroke, this.drawn || 1);
      this.drawn = this.stroke.points.length;
    }
    if (last) this.pointers.set(event.pointerId, at);
    this.render();
  }

  pointerup(event) {
    this.pointers.delete(event.pointerId);
    if (this.dragging) this.handlers.moved(this.point);
    this.endStroke(false);
    this.panning = this.splitting = this.dragging = false;
    this.render();
  }

  pointercancel(event) {
    this.pointerup(event);
  }

  endStroke(abandon) {
    if (!this.stroke) return;
    const stroke = this.stroke;
    this.stroke = null;
    this.drawn = 0;
    if (stroke.kind === "lasso") {
      if (!abandon && stroke.points.length > 2) this.mask.add(stroke);
    } else if (abandon) {
      this.mask.undo();
    }
    this.handlers.painted();
  }

  splitAt(on) {
    const { x, width } = this.comparison;
    this.split = Math.min(1, Math.max(0, (on[0] - x) / width));
    this.handlers.splitted(this.split);
  }

  wheel(event) {
    if (!this.photo) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), this.place(event).at);
  }

  keydown(event) {
    if (!this.photo || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (event.shiftKey ? 40 : 4) / Math.min(1, this.scale / this.ratio);
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (move && this.mode === "points" && this.points?.[this.point]) {
      const nudge = event.shiftKey ? 10 : 1;
      this.points[this.point] = this.points[this.point].map((v, i) => v + nudge * move[i]);
      this.handlers.moved(this.point);
    } else if (move && this.mode === "compare") {
      this.split = Math.min(1, Math.max(0, this.split + 0.02 * move[0]));
      this.handlers.splitted(this.split);
    } else if (move) {
      const limits = [this.photo.width, this.photo.height];
      this.cross = this.cross.map((v, i) => Math.min(limits[i], Math.max(0, v + step * move[i])));
    } else if (event.key === "Enter" && this.mode === "paint" && this.tool !== "proposal") {
      const kind = this.tool === "eraser" ? "eraser" : "brush";
      this.mask.add({ kind, size: this.brush, points: [this.cross] });
      this.handlers.painted();
    } else if (event.key === "Enter" && (this.mode === "paint" || this.mode === "click")) {
      this.handlers.clicked(...this.cross);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else if (event.key === " ") this.space = true;
    else return;
    event.preventDefault();
    this.render();
  }

  render() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  paint() {
    const c = this.context;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.photo) return;
    c.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
    c.imageSmoothingEnabled = this.scale < 3;
    c.imageSmoothingQuality = "high";
    if (this.mode === "compare" && this.comparison) return this.paintComparison(c);
    c.drawImage(this.photo, 0, 0);
    if (this.mode === "paint" || this.mode === "click") {
      c.globalAlpha = 0.5;
      c.drawImage(this.mask.canvas, 0, 0);
      if (this.proposal) c.drawImage(this.proposal, 0, 0);
      c.globalAlpha = 1;
    }
    const unit = this.ratio / this.scale;
    c.lineWidth = 1.5 * unit;
    if (this.stroke?.kind === "lasso") {
      c.strokeStyle = "#004d40";
      c.beginPath();
      for (const [x, y] of this.stroke.points) c.lineTo(x, y);
      c.stroke();
    }
    const keyboard = document.activeElement === this.canvas && this.canvas.matches(":focus-visible");
    const at = this.hover || (keyboard ? this.cross : null);
    if (this.mode === "paint" && at && ["brush", "eraser"].includes(this.tool)) {
      for (const [colour, grow] of [["#000", 0], ["#fff", unit]]) {
        c.strokeStyle = colour;
        c.beginPath();
        c.arc(...at, this.brush / 2 + grow, 0, 7);
        c.stroke();
      }
    }
    if (keyboard && (this.mode === "paint" || this.mode === "click")) this.paintCross(c, unit);
    if (this.mode === "points" && this.points) this.paintPoints(c, unit);
  }

  paintCross(c, unit) {
    const [x, y] = this.cross;
    for (const [colour, width] of [["#fff", 3], ["#b91c1c", 1.2]]) {
      c.strokeStyle = colour;
      c.lineWidth = width * unit;
      c.beginPath();
      c.moveTo(x - 12 * unit, y);
      c.lineTo(x + 12 * unit, y);
      c.moveTo(x, y - 12 * unit);
      c.lineTo(x, y + 12 * unit);
      c.stroke();
    }
  }

  paintPoints(c, unit) {
    this.points.forEach((point, i) => {
      if (!point) return;
      c.beginPath();
      c.arc(...point, HANDLE * unit, 0, 7);
      c.fillStyle = i === this.point ? "rgba(0,105,95,.85)" : "rgba(255,255,255,.75)";
      c.strokeStyle = i === this.point ? "#fff" : "#00695f";
      c.lineWidth = 2 * unit;
      c.fill();
      c.stroke();
      c.fillStyle = i === this.point ? "#fff" : "#00463f";
      c.font = `600 ${11 * unit}px system-ui`;
      c.textAlign = "center";
      c.textBaseline = "middle";
      c.fillText(String(i + 1), ...point);
    });
  }

  // comparison: {before, after (pictures of the frame), x, y, width, height on the photograph}
  paintComparison(c) {
    const { before, after, x, y, width, height } = this.comparison;
    c.drawImage(after, x, y, width, height);
    const cut = width * this.split;
    c.save();
    c.beginPath();
    c.rect(x, y, cut, height);
    c.clip();
    c.drawImage(before, x, y, width, height);
    c.restore();
    const unit = this.ratio / this.scale;
    c.fillStyle = "#fff";
    c.fillRect(x + cut - 1.5 * unit, y, 3 * unit, height);
    c.beginPath();
    c.arc(x + cut, y + height / 2, 16 * unit, 0, 7);
    c.fill();
    c.fillStyle = "#00695f";
    c.font = `700 ${15 * unit}px system-ui`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText("\u2194", x + cut, y + height / 2 + unit);
  }
}
