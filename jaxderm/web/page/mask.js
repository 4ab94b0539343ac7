// The painted mask at the photograph's own resolution: a list of strokes that is replayed for undo.

export const TINT = "rgb(0, 150, 136)";

export class Mask {
  constructor(width, height) {
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d");
    this.strokes = [];
    this.undone = [];
  }

  get isEmpty() {
    return !this.strokes.some((stroke) => stroke.kind !== "eraser");
  }

  // A stroke: {kind: "brush"|"eraser", size, points}, {kind: "lasso", points}, {kind: "bitmap", bitmap}
  // or {kind: "clear"}. It may still grow: draw(stroke, from) paints what has been added.
  add(stroke) {
    this.strokes.push(stroke);
    this.undone = [];
    this.draw(stroke, 0);
    return stroke;
  }

  draw(stroke, from) {
    const c = this.context;
    c.save();
    c.fillStyle = c.strokeStyle = TINT;
    c.globalCompositeOperation = stroke.kind === "eraser" ? "destination-out" : "source-over";
    if (stroke.kind === "clear") {
      c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    } else if (stroke.kind === "bitmap") {
      c.drawImage(stroke.bitmap, 0, 0);
    } else if (stroke.kind === "lasso") {
      c.beginPath();
      for (const [x, y] of stroke.points) c.lineTo(x, y);
      c.closePath();
      c.fill();
    } else {
      c.lineWidth = stroke.size;
      c.lineCap = c.lineJoin = "round";
      c.beginPath();
      const points = stroke.points.slice(Math.max(0, from - 1));
      c.moveTo(...points[0]);
      for (const [x, y] of points) c.lineTo(x, y + 0.01); // a single point is a dot
      c.stroke();
    }
    c.restore();
  }

  undo() {
    if (this.strokes.length) this.undone.push(this.strokes.pop());
    this.replay();
  }

  redo() {
    if (this.undone.length) this.strokes.push(this.undone.pop());
    this.replay();
  }

  replay() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const stroke of this.strokes) this.draw(stroke, 0);
  }

  // PNG of white where painted, black elsewhere.
  async png() {
    const out = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const c = out.getContext("2d");
    c.drawImage(this.canvas, 0, 0);
    c.globalCompositeOperation = "source-in";
    c.fillStyle = "white";
    c.fillRect(0, 0, out.width, out.height);
    c.globalCompositeOperation = "destination-over";
    c.fillStyle = "black";
    c.fillRect(0, 0, out.width, out.height);
    return out.convertToBlob({ type: "image/png" });
  }
}

// A tinted bitmap of a mask's PNG (white on black), for a stroke of kind "bitmap".
export async function tinted(blob) {
  const picture = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const c = canvas.getContext("2d", { willReadFrequently: true });
  c.drawImage(picture, 0, 0);
  const data = c.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < data.data.length; i += 4) {
    const on = data.data[i] >= 128;
    data.data[i] = 0;
    data.data[i + 1] = 150;
    data.data[i + 2] = 136;
    data.data[i + 3] = on ? 255 : 0;
  }
  c.putImageData(data, 0, 0);
  return canvas;
}
