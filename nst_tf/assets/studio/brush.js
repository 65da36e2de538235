// A mask painted over the photo: white where a painting is to go, or where the photo is to stay.

import * as api from "./api.js";
import { find, make } from "./make.js";

const SIDE = 1024; // longer side of a mask: it is resized to the result's

// Opens the brush over a photo; gives the mask's ID, null for none, or undefined where nothing changes.
export async function paint(photo, title, mask) {
  const image = new Image();
  image.src = api.picture(photo.id);
  await image.decode();
  const scale = SIDE / Math.max(photo.width, photo.height);
  const [width, height] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = make("canvas", { width, height, "aria-label": `${title}: paint with the pointer, or open a mask` });
  const pen = canvas.getContext("2d");
  const size = make("input", { type: "range", min: 8, max: 200, value: 60, id: "brush-size" });
  const erase = make("input", { type: "checkbox", id: "brush-erase" });
  const fill = (alpha) => {
    pen.globalCompositeOperation = "source-over";
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = "#fff";
    if (alpha) pen.fillRect(0, 0, width, height);
  };
  const load = async (source) => {
    const known = new Image();
    known.src = source;
    await known.decode();
    pen.globalCompositeOperation = "source-over";
    pen.drawImage(known, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      const light = 0.299 * pixels.data[at] + 0.587 * pixels.data[at + 1] + 0.114 * pixels.data[at + 2];
      pixels.data[at + 3] = (pixels.data[at + 3] * light) / 255;
      pixels.data[at] = pixels.data[at + 1] = pixels.data[at + 2] = 255;
    }
    pen.putImageData(pixels, 0, 0);
  };
  if (mask) await load(api.picture(mask));

  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  };
  const stroke = (event) => {
    const now = place(event);
    pen.globalCompositeOperation = erase.checked ? "destination-out" : "source-over";
    Object.assign(pen, { lineWidth: Number(size.value), lineCap: "round", strokeStyle: "#fff" });
    pen.beginPath();
    pen.moveTo(...(last ?? now));
    pen.lineTo(...now);
    pen.stroke();
    last = now;
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = null; stroke(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) stroke(event); });

  return new Promise((done) => {
    const button = (text, value) => make("button", { type: "submit", value, text });
    const act = (text, onclick) => make("button", { type: "button", text, onclick });
    const dialog = make("dialog", { "aria-label": title },
      make("form", { method: "dialog" },
        make("h2", { text: title }),
        make("div", { class: "masked" }, image, canvas),
        make("div", { class: "row" },
          make("label", { for: "brush-size", text: "Brush " }), size, make("label", { class: "tick", text: "Erase " }, erase),
          act("All", () => fill(1)), act("None", () => fill(0)),
          make("label", { class: "give", text: "Open a mask" }, make("input", {
            type: "file", accept: "image/*",
            onchange: (event) => { const [file] = event.target.files; if (file) load(URL.createObjectURL(file)); },
          }))),
        make("div", { class: "row" }, button("Take it", "take"), button("No mask", "none"), button("Leave it as it was", ""))));
    dialog.addEventListener("close", async () => {
      dialog.remove();
      if (dialog.returnValue === "none") return done(null);
      if (dialog.returnValue !== "take") return done(undefined);
      const flat = make("canvas", { width, height });
      const black = flat.getContext("2d");
      black.fillRect(0, 0, width, height);
      black.drawImage(canvas, 0, 0);
      const blob = await new Promise((made) => flat.toBlob(made, "image/png"));
      try {
        done((await api.give(new File([blob], "mask.png"), true)).id);
      } catch (error) {
        find("#trouble").textContent = error.message;
        done(undefined);
      }
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
