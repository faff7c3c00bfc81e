// Every layer whole: all maps of a convolution or a pooling, all units of a dense layer.

import { arrow, element, fill, frame, inside, pointOn, short, together } from "./dom.mjs";
import { balanced, paintBars, paintMaps, rangeOf } from "./painting.mjs";

// About the side of a map, and the space between maps, in pixels.
const SIDE = 56;
const GAP = 4;

export function makeLayers(app) {
    const draws = app.layers.map((layer, index) => {
        const name = element("h3", {}, `${layer.name} `, element("span", {}, about(app.text, layer)));
        const node = element("section", { class: "layer" }, name);
        document.getElementById("layers").append(node);
        if (app.hasMaps(index)) return makeMaps(app, index, node);
        return layer.kernel ? makeUnits(app, index, node) : () => {};
    });
    return together(draws);
}

function about(text, { layer, activation = "linear", output: [count, height, width] }) {
    if (layer === "flatten") return fill(text.flatten, { count });
    if (layer === "dropout") return text.dropout;
    const size = height ? fill(text.maps, { count, height, width }) : fill(text.units, { count });
    return activation === "linear" ? size : `${size} · ${activation}`;
}

// A picture of `count` parts in as many columns as there is room for, of which one is chosen, by a click or the arrow keys.
// Gives what paints it: `paint` does so, given the canvas and the number of columns.
function makeChoice(node, label, count, width, current, choose, paint) {
    const ring = element("i", { class: "frame" });
    const limits = { "aria-label": label, "aria-valuemin": 0, "aria-valuemax": count - 1 };
    const canvas = element("canvas", { tabindex: 0, role: "slider", ...limits });
    const room = element("div", { class: "room" }, element("div", { class: "picture" }, canvas, ring));
    let columns = count;
    canvas.addEventListener("keydown", (event) => {
        const step = arrow(event);
        if (step) choose(inside(current() + step[0] * columns + step[1], count));
    });
    canvas.addEventListener("click", (event) => {
        const at = pointOn(canvas, event, [Math.ceil(count / columns), columns]).map(Math.floor);
        if (at[0] * columns + at[1] < count) choose(at[0] * columns + at[1]);
    });
    node.append(room);
    return () => {
        columns = Math.max(1, Math.min(count, Math.floor((room.clientWidth + GAP) / (width + GAP))));
        paint(canvas, columns);
        const now = current();
        const [height, across] = [canvas.height + GAP, canvas.width + GAP];
        const step = [height / Math.ceil(count / columns), across / columns];
        const [top, left] = [Math.floor(now / columns) * step[0], (now % columns) * step[1]];
        const part = { top, left, bottom: top + step[0] - GAP, right: left + step[1] - GAP };
        frame(ring, now >= 0 && now < count && part, [canvas.height, canvas.width]);
        canvas.setAttribute("aria-valuenow", inside(now, count));
    };
}

// A picture for each filter or unit, [rows, columns], each to its own range or all to one, which is told above them.
function makePictures(app, node, { label, to: [count, rows, columns], colors, spread, current, choose, values, text }) {
    const [area, scale] = [rows * columns, Math.max(1, Math.round(SIDE / Math.max(rows, columns)))];
    const range = element("p", { class: "range" });
    node.append(range);
    return makeChoice(node, label, count, columns * scale, current, choose, (canvas, across) => {
        const numbers = values();
        const all = spread(rangeOf(numbers));
        const own = (start) => (app.state.oneRange ? all : spread(rangeOf(numbers, start, start + area)));
        const starts = Array.from({ length: count }, (_, i) => i * area);
        const maps = starts.map((start) => ({ values: numbers, start, range: own(start) }));
        paintMaps(canvas, maps, [rows, columns], colors, { columns: across, scale, gap: GAP });
        range.textContent = fill(text(), { low: short(all[0]), high: short(all[1]) });
    });
}

function makeMaps(app, index, node) {
    const { text, state, layers, inferno } = app;
    const { name, to } = layers[index];
    return makePictures(app, node, {
        label: `${name}, ${text.filter}`, to, colors: inferno, spread: (range) => range,
        current: () => state.filter,
        choose: (filter) => app.change({ filter }),
        values: () => app.slot().outputs[index],
        text: () => (state.oneRange ? text.range_one : text.range_own),
    });
}

// Bars; and of units that look at the image itself the weights, as pictures.
function makeUnits(app, index, node) {
    const { text, state, layers, diverging } = app;
    const { name, kernel, to: [count] } = layers[index];
    const range = element("p", { class: "range" });
    node.append(range);
    const current = () => (state.spot.layer === index ? state.spot.unit : -1);
    const choose = (unit) => app.change({ spot: { layer: index, unit } });
    const step = Math.max(3, Math.min(24, Math.floor(760 / count)));
    const drawBars = makeChoice(node, `${name}, ${text.unit}`, count, -GAP, current, choose, (canvas) => {
        const values = app.slot().outputs[index];
        const [low, high] = rangeOf(values);
        paintBars(canvas, values, [low, high], step);
        range.textContent = `${short(low)} … ${short(high)}`;
    });
    const { layer, shape } = app.sourceOf(index);
    if (layer >= 0 || !shape) return drawBars;
    const drawWeights = makePictures(app, node, {
        label: text.weights, to: [count, shape[0] * shape[1], shape[2]], colors: diverging, spread: balanced,
        current, choose,
        values: () => kernel,
        text: () => text.weights_range,
    });
    return together([drawBars, drawWeights]);
}
