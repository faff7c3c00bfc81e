// One filter through the layers, as in the lesson's grid: the image, what each layer makes of it, and the kernels.

import { arrow, element, fill, frame, inside, pixelAt, pointOn, short, together } from "./dom.mjs";
import { numberGrid } from "./inspector.mjs";
import { windowAt } from "./network.mjs";
import { balanced, paintChannels, paintImage, paintMaps, rangeOf } from "./painting.mjs";

// Gives what draws it, and what marks the pixel that is looked at.
export function makeRow(app) {
    const { layers, state } = app;
    const shown = [...layers.keys()].filter(app.hasMaps);
    const node = document.getElementById("row");
    node.hidden = shown.length === 0;
    const [slider, number, oneRange] = ["filter", "number", "one-range"].map((id) => document.getElementById(id));
    slider.max = Math.max(0, ...shown.map((layer) => layers[layer].to[0] - 1));
    slider.addEventListener("input", () => app.change({ filter: Number(slider.value) }));
    oneRange.addEventListener("change", () => app.change({ oneRange: oneRange.checked }));
    const columns = [-1, ...shown].map((layer, i) => makeColumn(app, layer, shown[i]));
    node.querySelector(".columns").append(...columns.map(({ node }) => node));
    const drawFilter = () => {
        slider.value = state.filter;
        number.textContent = state.filter;
    };
    return [together([drawFilter, ...columns.map(({ draw }) => draw)]), together(columns.map(({ mark }) => mark))];
}

// The image (layer −1) or a layer, for each of the images that are looked at. `next` is the layer that looks at this one.
function makeColumn(app, layer, next) {
    const { name = app.text.image, to = app.shape, kernel } = layers(app, layer);
    const panels = [0, 1].map((place) => makePanel(app, place, layer, next));
    const parts = kernel ? [...panels, makeKernel(app, app.layers[layer])] : panels;
    const caption = element("figcaption", {}, element("b", { title: name }, name), element("span", {}, to.join(" × ")));
    return {
        node: element("figure", {}, caption, ...parts.map(({ node }) => node)),
        draw: together(parts.map(({ draw }) => draw)),
        mark: together(panels.map(({ mark }) => mark)),
    };
}

const layers = (app, layer) => app.layers[layer] ?? {};

function makePanel(app, place, layer, next) {
    const { text, state } = app;
    const { name, to: [count, rows, columns] = app.shape } = layers(app, layer);
    const slot = () => state.slots[place];
    const slider = { tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": rows * columns - 1 };
    const canvas = element("canvas", { style: `aspect-ratio: ${columns} / ${rows}`, ...(layer < 0 ? {} : slider) });
    const [seen, pixel] = [element("i", { class: "frame" }), element("i", { class: "frame" })];
    const range = element("p", { class: "range" });
    const spot = () => (state.spot.layer === layer ? state.spot : { row: 0, column: 0 });
    const look = ([row, column]) => {
        app.activate(place);
        app.look({ layer, row: inside(row, rows), column: inside(column, columns) });
    };
    if (layer >= 0) {
        const point = (event) => look(pointOn(canvas, event, [rows, columns]));
        canvas.addEventListener("pointermove", point);
        canvas.addEventListener("pointerdown", point);
        canvas.addEventListener("keydown", (event) => {
            const step = arrow(event);
            if (step) look([spot().row + step[0], spot().column + step[1]]);
        });
    }
    const draw = () => {
        node.hidden = !slot();
        if (node.hidden) return;
        if (layer < 0) return paintImage(canvas, slot().image);
        const there = state.filter < count;
        canvas.style.visibility = there ? "visible" : "hidden";
        range.textContent = fill(text.no_filter, { last: count - 1 });
        if (!there) return;
        const [values, start] = [slot().outputs[layer], state.filter * rows * columns];
        const own = rangeOf(values, start, start + rows * columns);
        paintMaps(canvas, [{ values, start, range: state.oneRange ? rangeOf(values) : own }], [rows, columns], app.inferno);
        range.textContent = `${short(own[0])} … ${short(own[1])}`;
    };
    const mark = () => {
        const here = slot() && state.active === place;
        const { layer: at, row, column } = state.spot;
        frame(pixel, here && at === layer && pixelAt(row, column), [rows, columns]);
        frame(seen, here && at === next && row !== undefined && windowAt(app.layers[next], row, column), [rows, columns]);
        if (layer < 0 || !slot()) return;
        const index = (state.filter * rows + spot().row) * columns + spot().column;
        canvas.setAttribute("aria-label", `${name}, ${text.filter} ${state.filter}`);
        canvas.setAttribute("aria-valuenow", spot().row * columns + spot().column);
        canvas.setAttribute("aria-valuetext", `${fill(text.pixel, spot())}: ${short(slot().outputs[layer][index] ?? NaN)}`);
    };
    const node = element("div", { class: "panel" }, element("div", { class: "picture" }, canvas, seen, pixel), range);
    return { node, draw, mark };
}

// The filter's kernel: as numbers where it looks at one channel, as a picture of all channels otherwise.
function makeKernel(app, { from: [channels], to: [filters], size, kernel }) {
    const taps = size[0] * size[1];
    const node = element("div", { class: "kernel" });
    const draw = () => {
        const { filter } = app.state;
        node.hidden = filter >= filters;
        if (node.hidden) return;
        const own = kernel.subarray(filter * channels * taps, (filter + 1) * channels * taps);
        const range = balanced(rangeOf(own));
        const caption = element("p", {}, fill(app.text.kernel, { channels, low: short(range[0]), high: short(range[1]) }));
        if (channels === 1) return node.replaceChildren(numberGrid(own, size[1], app.diverging, range), caption);
        const canvas = element("canvas", { role: "img", "aria-label": caption.textContent });
        paintChannels(canvas, own, [channels, ...size], app.diverging, 100);
        node.replaceChildren(canvas, caption);
    };
    return { node, draw };
}
