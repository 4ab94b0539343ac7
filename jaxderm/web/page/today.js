// What is done today, drawn in the page from the user's own copy: an eye bar, a blur, a mosaic. None protects.

const FOUND = {
  eyebar: "A stock face recogniser still finds 76 % of the people behind an eye bar.",
  blur: "A stock face recogniser still finds 100 % of the people behind such a blur.",
  mosaic: "A stock face recogniser still finds 96 % of the people behind such a mosaic.",
};

export const warning = (method) => `${FOUND[method]} It is shown for comparison and is not saved.`;

// photo: a picture; frame: {x, y, width, height} on it; points: five [x, y] or null.
export function custom(method, photo, frame, points) {
  const out = new OffscreenCanvas(frame.width, frame.height);
  const c = out.getContext("2d");
  const cut = [frame.x, frame.y, frame.width, frame.height];
  const side = Math.max(frame.width, frame.height);
  if (method === "blur") c.filter = `blur(${(12 / 768) * side}px)`;
  if (method === "mosaic") {
    const cell = Math.max(2, Math.round((24 / 768) * side));
    const small = new OffscreenCanvas(Math.ceil(frame.width / cell), Math.ceil(frame.height / cell));
    const s = small.getContext("2d");
    s.imageSmoothingQuality = "high";
    s.drawImage(photo, ...cut, 0, 0, small.width, small.height);
    c.imageSmoothingEnabled = false;
    c.drawImage(small, 0, 0, small.width * cell, small.height * cell);
    return out;
  }
  c.drawImage(photo, ...cut, 0, 0, frame.width, frame.height);
  if (method === "eyebar" && points?.[0] && points?.[1]) {
    const [a, b] = points.map((p) => p && [p[0] - frame.x, p[1] - frame.y]);
    const along = [b[0] - a[0], b[1] - a[1]];
    const ends = [
      [a[0] - 0.45 * along[0], a[1] - 0.45 * along[1]],
      [b[0] + 0.45 * along[0], b[1] + 0.45 * along[1]],
    ];
    c.lineWidth = 0.44 * Math.hypot(...along);
    c.beginPath();
    c.moveTo(...ends[0]);
    c.lineTo(...ends[1]);
    c.stroke();
  }
  return out;
}
