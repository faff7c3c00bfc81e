// One filter through the layers, as in the lesson's grid: the image, what each layer makes of it, and the kernels.

import { element, fill, frame, pixelName, short, told } from "./dom.mjs";
import { windowAt } from "./network.mjs";
import { paintImage, paintMaps, rangeOf } from "./painting.mjs";
import { channelPicture, makeChoice, numberGrid } from "./pictures.mjs";

// Gives what draws it.
export function makeRow(app) {
    const { text, layers, state } = app;
    const shown = [...layers.keys()].filter(app.hasMaps);
    document.getElementById("row").hidden = shown.length === 0;
    const [slider, number, oneRange] = ["filter", "number", "one-range"].map((id) => document.getElementById(id));
    slider.max = Math.max(0, ...shown.map((layer) => layers[layer].to[0] - 1));
    slider.addEventListener("input", () => app.change({ filter: Number(slider.value) }));
    oneRange.addEventListener("change", () => app.change({ oneRange: oneRange.checked }));
    const drawFilter = () => {
        slider.value = state.filter;
        number.textContent = state.filter;
    };
    const columns = [-1, ...shown].map((layer, i) => {
        const { name = text.image, to = app.shape, kernel } = layers[layer] ?? {};
        const panels = [0, 1].map((place) => makePanel(app, place, layer, shown[i], to));
        const parts = kernel ? [...panels, makeKernel(app, layers[layer])] : panels;
        const caption = [element("b", { title: name }, name), element("span", {}, to.join(" × "))];
        const nodes = parts.map(({ node }) => node);
        document.getElementById("columns").append(element("figure", {}, element("figcaption", {}, ...caption), ...nodes));
        return parts.map(({ draw }) => draw);
    });
    return [drawFilter, ...columns.flat()];
}

// A layer's map, or the image (layer −1), and the window in it that made a pixel of the `next` layer.
function makePanel(app, place, layer, next, [, rows, columns]) {
    const { state } = app;
    const { node, draw } = layer < 0 ? makeImage(app, place) : makeMap(app, place, layer);
    const seen = element("i", { class: "frame" });
    node.querySelector(".picture").append(seen);
    const drawShown = () => {
        node.hidden = !state.slots[place];
        if (node.hidden) return;
        draw();
        const looked = state.active === place && state.spot.layer === next;
        frame(seen, looked && windowAt(app.layers[next], state.spot.at), [rows, columns]);
    };
    return { node, draw: drawShown };
}

function makeImage(app, place) {
    const canvas = element("canvas");
    // As high as a map with its range.
    const range = element("p", { class: "range" });
    const node = element("div", { class: "panel" }, element("div", { class: "picture" }, canvas), range);
    return { node, draw: () => paintImage(canvas, app.state.slots[place].image) };
}

function makeMap(app, place, layer) {
    const { text, state } = app;
    const { name, to: [count, rows, columns] } = app.layers[layer];
    const area = rows * columns;
    const range = element("p", { class: "range" });
    const current = () => (state.active === place && state.spot.layer === layer ? state.spot.at : -1);
    const choose = (at) => app.change({ active: place, spot: { layer, at } });
    const paint = (canvas) => {
        const values = state.slots[place].outputs[layer];
        const map = values.subarray(state.filter * area, (state.filter + 1) * area);
        canvas.style.visibility = map.length ? "visible" : "hidden";
        range.textContent = map.length ? told(rangeOf(map)) : fill(text.no_filter, { last: count - 1 });
        paintMaps(canvas, map, [1, rows, columns], app.inferno, state.oneRange ? rangeOf(values) : undefined);
        const at = Math.max(0, current());
        canvas.setAttribute("aria-label", `${name}, ${text.filter} ${state.filter}`);
        canvas.setAttribute("aria-valuetext", `${pixelName(text.pixel, at, columns)}: ${short(map[at] ?? 0)}`);
        return columns;
    };
    const { node, draw } = makeChoice(area, ["pointermove", "pointerdown"], current, choose, paint);
    return { node: element("div", { class: "panel" }, node, range), draw };
}

// The filter's kernel: as numbers where it looks at one channel, as a picture of all channels otherwise.
function makeKernel(app, { from: [channels], to: [filters], size, kernel }) {
    const { text, diverging, state } = app;
    const taps = channels * size[0] * size[1];
    const node = element("div", { class: "kernel" });
    const draw = () => {
        node.hidden = state.filter >= filters;
        if (node.hidden) return;
        const own = kernel.subarray(state.filter * taps, (state.filter + 1) * taps);
        const range = diverging.range(own);
        const caption = fill(text.kernel, { channels, low: short(range[0]), high: short(range[1]) });
        const grid = () => numberGrid(own, size[1], diverging, range);
        const picture = () => channelPicture(caption, own, [channels, ...size], diverging, 100);
        // Three numbers have room beside each other.
        node.replaceChildren(channels === 1 && size[1] <= 3 ? grid() : picture(), element("p", {}, caption));
    };
    return { node, draw };
}
