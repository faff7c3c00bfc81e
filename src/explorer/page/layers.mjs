// Every layer whole: all maps of a convolution or a pooling, all units of a dense layer.

import { arrow, element, fill, frame, pointOn, short, together } from "./dom.mjs";
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
        if (step) choose(Math.min(count - 1, Math.max(0, current() + step[0] * columns + step[1])));
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
        canvas.setAttribute("aria-valuenow", Math.min(count - 1, Math.max(0, now)));
    };
}

const scaleOf = ([rows, columns]) => Math.max(1, Math.round(SIDE / Math.max(rows, columns)));

function makeMaps(app, index, node) {
    const { text, state } = app;
    const { name, to: [count, ...size] } = app.layers[index];
    const [area, scale] = [size[0] * size[1], scaleOf(size)];
    const range = element("p", { class: "range" });
    node.append(range);
    const paint = (canvas, columns) => {
        const values = app.slot().outputs[index];
        const all = rangeOf(values);
        const map = (_, i) => {
            const [start, end] = [i * area, (i + 1) * area];
            return { values, start, range: state.oneRange ? all : rangeOf(values, start, end) };
        };
        paintMaps(canvas, Array.from({ length: count }, map), size, app.inferno, { columns, scale, gap: GAP });
        range.textContent = fill(state.oneRange ? text.range_one : text.range_own, { low: short(all[0]), high: short(all[1]) });
    };
    const choose = (filter) => app.change({ filter });
    return makeChoice(node, `${name}, ${text.filter}`, count, size[1] * scale, () => state.filter, choose, paint);
}

function makeUnits(app, index, node) {
    const { text, state, layers } = app;
    const { name, to: [count] } = layers[index];
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
    const source = app.sourceOf(index);
    if (source.layer >= 0 || !source.shape) return drawBars;
    return together([drawBars, makeWeights(app, index, node, source.shape, current, choose)]);
}

// The weights of units that look at the image itself, as pictures.
function makeWeights(app, index, node, [channels, height, width], current, choose) {
    const { kernel, to: [count] } = app.layers[index];
    const size = [channels * height, width];
    const [area, scale] = [size[0] * size[1], scaleOf(size)];
    const all = balanced(rangeOf(kernel));
    const own = Array.from({ length: count }, (_, i) => balanced(rangeOf(kernel, i * area, (i + 1) * area)));
    node.append(element("p", { class: "range" }, fill(app.text.weights_range, { low: short(all[0]), high: short(all[1]) })));
    return makeChoice(node, app.text.weights, count, width * scale, current, choose, (canvas, columns) => {
        const maps = own.map((range, i) => ({ values: kernel, start: i * area, range: app.state.oneRange ? all : range }));
        paintMaps(canvas, maps, size, app.diverging, { columns, scale, gap: GAP });
    });
}
