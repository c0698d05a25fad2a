// A signature, drawn with the finger.

const WIDTH = 600, HEIGHT = 260;
const MOST_CHARACTERS = 60000;

/** A canvas to sign on; calls `changed(isEmpty)`. `image()` is a PNG as data URL, 60 kB at most. */
export function signaturePad(changed) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: WIDTH, height: HEIGHT, className: "signature" });
  const pen = canvas.getContext("2d");
  let empty = true, last = null;

  const clear = () => {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    empty = true;
    changed(true);
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  };
  const draw = (event) => {
    if (!last) return;
    const point = at(event);
    Object.assign(pen, { lineWidth: 5, lineCap: "round", strokeStyle: "#000" });
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(...point);
    pen.stroke();
    last = point;
    if (empty) {
      empty = false;
      changed(false);
    }
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
  });
  canvas.addEventListener("pointermove", draw);
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  clear();

  /** Smaller until it fits: a line drawing hardly ever needs it. */
  const image = (scale = 1) => {
    const copy = document.createElement("canvas");
    Object.assign(copy, { width: WIDTH * scale, height: HEIGHT * scale });
    copy.getContext("2d").drawImage(canvas, 0, 0, copy.width, copy.height);
    const url = copy.toDataURL("image/png");
    return url.length > MOST_CHARACTERS && scale > 0.1 ? image(scale / 2) : url;
  };
  const show = (url) => {
    const picture = new Image();
    picture.onload = () => pen.drawImage(picture, 0, 0, WIDTH, HEIGHT);
    picture.src = url;
  };
  return { canvas, clear, image, show, isEmpty: () => empty };
}
