// Every layer whole: all maps of a convolution or a pooling, all units of a dense layer.

import { element, told } from "./dom.mjs";
import { paintBars, paintMaps, rangeOf } from "./painting.mjs";
import { makeChoice } from "./pictures.mjs";

// About the side of a map, and the space between maps, in pixels.
const SIDE = 56;
const GAP = 4;

// Gives what draws them.
export function makeLayers(app) {
    return app.layers.flatMap(({ name, about, kernel }, index) => {
        const heading = element("h3", {}, `${name} `, element("span", {}, about));
        const section = element("section", { class: "layer" }, heading);
        document.getElementById("layers").append(section);
        if (app.hasMaps(index)) return makeMaps(app, index, section);
        return kernel ? makeUnits(app, index, section) : [];
    });
}

// A picture to choose from, and above it the range of its numbers, as `paint` tells it.
function makePart(section, label, count, current, choose, paint) {
    const range = element("p", { class: "range" });
    const { node, draw } = makeChoice(count, ["click"], current, choose, (canvas) => paint(canvas, range));
    node.firstChild.setAttribute("aria-label", label);
    section.append(range, node);
    return draw;
}

// Pictures in as many columns as there is room for. Gives how many.
function paintPictures(canvas, values, [count, rows, columns], scale, range) {
    const side = Math.max(1, Math.round(SIDE / Math.max(rows, columns)));
    const room = Math.floor(canvas.closest("section").clientWidth / (columns * side + GAP));
    const across = Math.max(1, Math.min(count, room));
    paintMaps(canvas, values, [count, rows, columns], scale, range, { across, side, gap: GAP });
    return across;
}

function makeMaps(app, index, section) {
    const { text, state, layers, inferno } = app;
    const { name, to } = layers[index];
    const choose = (filter) => app.change({ filter });
    const paint = (canvas, range) => {
        const values = app.slot().outputs[index];
        const all = rangeOf(values);
        range.textContent = told(all, state.oneRange ? text.range_one : text.range_own);
        return paintPictures(canvas, values, to, inferno, state.oneRange ? all : undefined);
    };
    return [makePart(section, `${name}, ${text.filter}`, to[0], () => state.filter, choose, paint)];
}

// Bars; and of the first units, if they look at pixels, the weights as pictures.
function makeUnits(app, index, section) {
    const { text, state, layers, diverging } = app;
    const { name, kernel, source, to: [count] } = layers[index];
    const current = () => (state.spot.layer === index ? state.spot.at : -1);
    const choose = (at) => app.change({ spot: { layer: index, at } });
    const bars = makePart(section, `${name}, ${text.unit}`, count, current, choose, (canvas, range) => {
        const values = app.slot().outputs[index];
        range.textContent = told(rangeOf(values));
        paintBars(canvas, values, rangeOf(values));
        return count;
    });
    if (!source || layers.slice(0, index).some((layer) => layer.kernel)) return [bars];
    const weights = makePart(section, text.weights, count, current, choose, (canvas, range) => {
        range.textContent = told(diverging.range(kernel), text.weights_range);
        return paintPictures(canvas, kernel, [count, source[0] * source[1], source[2]], diverging);
    });
    return [bars, weights];
}
