// How one number was made: the window, the kernel's numbers over it, the products, the sum, the bias, the activation.

import { element, fill, pixelName, short, signed } from "./dom.mjs";
import { explain, explainPooling } from "./network.mjs";
import { channelPicture, numberGrid } from "./pictures.mjs";

// So many channels or inputs are shown one by one; the others as their sum.
const MOST_PARTS = 8;

export function makeInspector(app) {
    const node = document.getElementById("inspector");
    const body = node.querySelector("div");
    return () => {
        node.hidden = app.state.spot.layer < 0;
        if (node.hidden) return;
        const focused = body.contains(document.activeElement);
        body.replaceChildren(...explanation(app));
        if (focused) body.querySelector("[aria-pressed=true]")?.focus();
    };
}

function explanation(app) {
    const { text, state: { filter, spot: { layer, at } } } = app;
    const about = app.layers[layer];
    const [count, rows, columns] = about.to;
    const isMap = app.hasMaps(layer);
    if (isMap && filter >= count) return [fill(text.no_filter, { last: count - 1 })];
    const { outputs, image } = app.slot();
    const x = layer ? outputs[layer - 1] : image.values;
    const [channel, pixel] = isMap ? [filter, at] : [at, 0];
    const value = outputs[layer][channel * rows * columns + pixel];
    const unit = layer === app.layers.length - 1 ? app.names[at] : `${text.unit} ${at}`;
    const name = isMap ? `${text.filter} ${filter}, ${pixelName(text.pixel, at, columns)}` : unit;
    const head = element("p", {}, `${about.name}, ${name}: `, element("b", {}, short(value)));
    if (!about.kernel) return [head, ...ofPooling(app, about, x, explainPooling(about, x, channel, pixel))];
    const made = explain(about, x, channel, pixel);
    return [head, ...ofParts(app, about, x, made), formula(text, about, made, value)];
}

const labelled = (label, content) => element("div", { class: "labelled" }, content, element("span", {}, label));
const sign = (text) => element("span", { class: "sign" }, text);

// Sum, bias and activation, in one line.
function formula(text, { activation }, { bias, sum }, value) {
    const end = activation === "linear" ? [] : [` → ${activation} → `, element("b", {}, short(value))];
    const added = `${bias < 0 ? "−" : "+"} ${text.bias} ${short(Math.abs(bias))}`;
    return element("p", {}, `${text.products_sum} ${short(sum - bias)} ${added} = `, element("b", {}, short(sum)), ...end);
}

function ofPooling({ text, inferno }, { size }, x, { values, winner }) {
    const grid = labelled(text.window, numberGrid(values, size[1], inferno, inferno.range(x), { winner }));
    const detail = element("div", { class: "detail" }, grid, sign("→"), element("b", {}, short(values[winner])));
    return [detail, element("p", {}, fill(text.largest, { count: values.length }))];
}

// One channel of the window, or one input of a unit, in full; and all that add most, to choose from.
function ofParts(app, layer, x, { parts }) {
    const { text, inferno, diverging, state: { spot } } = app;
    const title = layer.layer === "dense" ? text.input_weight : text.window_kernel;
    const [columns, seen, reach] = [layer.size[1], inferno.range(x), diverging.range(layer.kernel)];
    const part = parts.find(({ channel }) => channel === spot.channel) ?? parts[0];
    const products = part.values.map((value, i) => value * part.kernel[i]);
    const detail = element("div", { class: "detail" },
        labelled(title, numberGrid(part.values, columns, inferno, seen, { over: part.kernel })),
        sign("="),
        labelled(text.products, numberGrid(products, columns, diverging, diverging.range(products))),
        sign("Σ"),
        labelled(parts.length > 1 ? partName(text, layer, part.channel) : text.sum, element("b", {}, signed(part.sum))),
    );
    if (parts.length === 1) return [detail];
    const choices = parts.slice(0, MOST_PARTS).map((each) => element("button", {
        type: "button", "aria-pressed": each === part,
        click: () => app.change({ spot: { ...spot, channel: each.channel } }),
    },
        element("span", {}, partName(text, layer, each.channel)),
        numberGrid(each.values, columns, inferno, seen, { small: true }),
        numberGrid(each.kernel, columns, diverging, reach, { small: true }),
        element("b", {}, signed(each.sum)),
    ));
    const rest = parts.slice(MOST_PARTS);
    const sum = rest.reduce((sum, part) => sum + part.sum, 0);
    if (rest.length) choices.push(element("p", {}, `${fill(text.others, { count: rest.length })}: ${signed(sum)}`));
    const group = element("div", { class: "parts", role: "group", "aria-label": text.channels }, ...choices);
    return layer.source ? [detail, group, votes(app, layer, parts)] : [detail, group];
}

// A channel, or what a unit looks at: a pixel of the layer before or another unit.
function partName(text, { layer, source }, channel) {
    if (layer === "conv2d") return fill(text.channel, { channel });
    if (!source) return `${text.unit} ${channel}`;
    const area = source[1] * source[2];
    const pixel = pixelName(text.pixel, channel % area, source[2]);
    return source[0] > 1 ? `${fill(text.channel, { channel: Math.floor(channel / area) })}, ${pixel}` : pixel;
}

// What all pixels add to a unit, as a picture.
function votes({ text, diverging }, { source }, parts) {
    const values = new Float32Array(parts.length);
    for (const { channel, sum } of parts) values[channel] = sum;
    return labelled(text.votes, channelPicture(text.votes, values, source, diverging, 200));
}
