// The images: the strip to choose from, those that are looked at and drawn on, and what the network says of each.

import { element, frame, inside, pixelAt, pointOn, short, stepOf } from "./dom.mjs";
import { centre, stroke } from "./drawing.mjs";
import { paintImage } from "./painting.mjs";

export function makeStrip(app) {
    const strip = document.getElementById("strip");
    const inputs = app.images.map((image, index) => {
        const click = () => app.choose(index);
        const input = element("input", { type: "radio", name: "image", "aria-label": image.name, click });
        const canvas = element("canvas");
        paintImage(canvas, image);
        // A label is dragged with what is in it; a button would not be in Firefox (its bug 568313).
        const dragstart = (event) => event.dataTransfer.setData("text/plain", index);
        strip.append(element("label", { title: image.name, draggable: true, dragstart }, input, canvas));
        return input;
    });
    return () => {
        inputs[app.slot().chosen].checked = true;
    };
}

export function makeEditor(app, place) {
    const slot = () => app.state.slots[place];
    const template = document.getElementById("editor");
    const node = template.content.cloneNode(true).firstElementChild;
    for (const tool of node.querySelectorAll("[name=tool]")) tool.name += place;
    template.before(node);
    const [heading, canvas, eraser] = ["h2", "canvas", "[value=eraser]"].map((name) => node.querySelector(name));
    const deeds = {
        clear: () => app.edit(place, (image) => image.values.fill(image.low)),
        centre: () => app.edit(place, centre),
        original: () => app.choose(slot().chosen, place),
    };
    node.addEventListener("click", ({ target }) => deeds[target.dataset.do]?.());
    for (const name of ["focusin", "pointerdown"]) node.addEventListener(name, () => app.change({ active: place }));
    node.addEventListener("dragover", (event) => event.preventDefault());
    node.addEventListener("drop", (event) => {
        event.preventDefault();
        const index = Number.parseInt(event.dataTransfer.getData("text/plain"), 10);
        if (app.images[index]) app.choose(index, place);
    });
    const draw = (from, to) => app.edit(place, (image) => stroke(image, from, to, eraser.checked));
    drawWithPointer(canvas, app.shape.slice(1), draw);
    drawWithKeys(canvas, app.shape.slice(1), draw);
    const showAnswer = makeAnswer(app, slot, node.querySelector(".answer"));
    return () => {
        node.hidden = !slot();
        if (node.hidden) return;
        paintImage(canvas, slot().image);
        node.classList.toggle("active", app.state.slots[1] !== null && app.state.active === place);
        heading.textContent = app.images[slot().chosen].name + (slot().drawn ? ` · ${app.text.changed}` : "");
        showAnswer();
    };
}

function drawWithPointer(canvas, size, draw) {
    let last = null;
    const drawTo = (event) => {
        const point = pointOn(canvas, event, size);
        draw(last ?? point, point);
        last = point;
    };
    canvas.addEventListener("pointerdown", (event) => {
        if (event.button || !event.isPrimary) return;
        canvas.setPointerCapture(event.pointerId);
        last = null;
        drawTo(event);
    });
    canvas.addEventListener("pointermove", (event) => {
        if (canvas.hasPointerCapture(event.pointerId)) (event.getCoalescedEvents?.() ?? [event]).forEach(drawTo);
    });
}

// The style shows the cursor while one uses keys.
function drawWithKeys(canvas, size, draw) {
    const cursor = canvas.nextElementSibling;
    let at = size.map((length) => Math.floor(length / 2) + 0.5);
    const showCursor = () => frame(cursor, pixelAt(at[0] - 0.5, at[1] - 0.5), size);
    canvas.addEventListener("keydown", (event) => {
        const step = stepOf(event);
        if (!step) return;
        const from = at;
        at = at.map((part, axis) => inside(part + step[axis], size[axis]) + 0.5);
        if (event.shiftKey || event.key === " ") draw(from, at);
        showCursor();
    });
    showCursor();
}

// The classes with their probabilities; the right one is marked where it is known and the image is still itself.
function makeAnswer(app, slot, node) {
    const layer = app.layers.length - 1;
    const inPercent = app.layers[layer].activation === "softmax";
    const rows = app.names.map((name, unit) => {
        const [right, bar, value] = [element("span"), element("i", { class: "bar" }), element("b")];
        const click = () => app.change({ spot: { layer, at: unit } });
        const row = element("button", { type: "button", click }, element("span", {}, name, right), bar, value);
        return { row, right, bar, value };
    });
    node.append(...rows.map(({ row }) => row));
    return () => {
        const { outputs, drawn, chosen } = slot();
        const values = outputs[layer];
        const most = Math.max(...values);
        rows.forEach(({ row, right, bar, value }, unit) => {
            const isRight = !drawn && unit === app.images[chosen].label;
            right.textContent = isRight ? " ✓" : "";
            row.title = isRight ? app.text.right : "";
            row.className = values[unit] === most ? "most" : "";
            bar.style.setProperty("--share", Math.max(0, values[unit]) / (inPercent ? 1 : most || 1));
            value.textContent = inPercent ? `${(values[unit] * 100).toFixed(1)} %` : short(values[unit]);
        });
    };
}
