// The images: the strip to choose from, those that are looked at and drawn on, and what the network says of each.

import { arrow, element, frame, inside, pixelAt, pointOn, short, speak } from "./dom.mjs";
import { centre, stroke } from "./drawing.mjs";
import { paintImage } from "./painting.mjs";

// Of more classes than these only the most probable ones are listed.
const MOST_CLASSES = 12;

export function makeStrip(app) {
    const node = document.getElementById("strip");
    const buttons = app.images.map((image, index) => {
        const [canvas, name] = [element("canvas"), app.imageName(index)];
        paintImage(canvas, image);
        return element("button", {
            type: "button", role: "radio", title: name, "aria-label": name, draggable: true,
            click: () => app.choose(index),
            dragstart: (event) => event.dataTransfer.setData("text/plain", String(index)),
        }, canvas);
    });
    node.append(...buttons);
    node.addEventListener("keydown", (event) => {
        const step = arrow(event);
        if (!step) return;
        const next = (app.slot().chosen + step[0] + step[1] + buttons.length) % buttons.length;
        app.choose(next);
        buttons[next].focus();
    });
    return () => buttons.forEach((button, index) => {
        const chosen = app.slot().chosen === index;
        button.setAttribute("aria-checked", chosen);
        button.tabIndex = chosen ? 0 : -1;
    });
}

export function makeEditor(app, place) {
    const { text, state } = app;
    const slot = () => state.slots[place];
    const template = document.getElementById("editor");
    const node = template.content.cloneNode(true).firstElementChild;
    speak(node, text);
    template.before(node);
    const [heading, canvas] = ["h2", "canvas"].map((name) => node.querySelector(name));
    const tools = [...node.querySelectorAll("[data-tool]")];
    const deeds = {
        clear: () => app.edit(place, (image) => image.values.fill(image.low)),
        centre: () => app.edit(place, centre),
        original: () => app.choose(slot().chosen, place),
    };
    node.addEventListener("click", ({ target: { dataset } }) => {
        if (dataset.tool) app.change({ tool: dataset.tool });
        deeds[dataset.do]?.();
    });
    node.addEventListener("focusin", () => app.activate(place));
    node.addEventListener("dragover", (event) => event.preventDefault());
    node.addEventListener("drop", (event) => {
        event.preventDefault();
        const index = Number(event.dataTransfer.getData("text/plain") || NaN);
        if (app.images[index]) app.choose(index, place);
    });
    drawWithPointer(app, place, canvas);
    drawWithKeys(app, place, canvas, node.querySelector(".frame"));
    const showAnswer = makeAnswer(app, slot, node.querySelector(".answer"));
    return () => {
        node.hidden = !slot();
        if (node.hidden) return;
        paintImage(canvas, slot().image);
        node.classList.toggle("active", state.slots[1] !== null && state.active === place);
        heading.textContent = app.imageName(slot().chosen) + (slot().drawn ? ` · ${text.changed}` : "");
        for (const tool of tools) tool.setAttribute("aria-pressed", state.tool === tool.dataset.tool);
        showAnswer();
    };
}

function drawWithPointer(app, place, canvas) {
    let last = null;
    const drawTo = (event) => {
        const point = pointOn(canvas, event, app.shape.slice(1));
        app.edit(place, (image) => stroke(image, last ?? point, point, app.state.tool === "eraser"));
        last = point;
    };
    canvas.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        canvas.setPointerCapture(event.pointerId);
        app.activate(place);
        drawTo(event);
    });
    canvas.addEventListener("pointermove", (event) => {
        if (last) (event.getCoalescedEvents?.() ?? [event]).forEach(drawTo);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (last = null));
}

function drawWithKeys(app, place, canvas, cursor) {
    const size = app.shape.slice(1);
    let at = size.map((length) => Math.floor(length / 2));
    canvas.addEventListener("keydown", (event) => {
        const step = arrow(event);
        if (!step && event.key !== " ") return;
        event.preventDefault();
        const from = at;
        if (step) at = at.map((part, axis) => inside(part + step[axis], size[axis]));
        const [begin, end] = [from, at].map((point) => point.map((part) => part + 0.5));
        if (!step || event.shiftKey) app.edit(place, (image) => stroke(image, begin, end, app.state.tool === "eraser"));
        frame(cursor, pixelAt(...at), size);
    });
    canvas.addEventListener("blur", () => frame(cursor, null, size));
}

// The classes with their probabilities; the right one is marked where it is known and the image is still itself.
function makeAnswer(app, slot, node) {
    const last = app.layers.length - 1;
    const { output, activation } = app.layers[last];
    const classes = output.length === 1 ? output[0] : 0;
    const rows = Array.from({ length: Math.min(classes, MOST_CLASSES) }, () => {
        const [name, bar, value] = [element("span"), element("i"), element("b")];
        const button = element("button", { type: "button" }, name, element("span", { class: "bar" }, bar), value);
        return { button, name, bar, value };
    });
    node.append(...rows.map(({ button }) => button));
    return () => {
        const { outputs, drawn, chosen } = slot();
        const values = outputs[last];
        const most = Math.max(...values);
        const order = Array.from(values, (_, unit) => unit);
        if (classes > MOST_CLASSES) order.sort((a, b) => values[b] - values[a]);
        const right = drawn ? null : app.data.images[chosen].label;
        rows.forEach(({ button, name, bar, value }, i) => {
            const unit = order[i];
            button.onclick = () => app.change({ spot: { layer: last, unit } });
            button.className = values[unit] === most ? "most" : "";
            name.textContent = app.className(unit) + (unit === right ? " ✓" : "");
            button.title = unit === right ? app.text.right : "";
            const share = activation === "softmax" ? values[unit] : values[unit] / (most || 1);
            bar.style.width = `${Math.max(0, share) * 100}%`;
            value.textContent = activation === "softmax" ? `${(share * 100).toFixed(1)} %` : short(values[unit]);
        });
    };
}
