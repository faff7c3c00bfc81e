// The page: what is looked at, and one frame for all that changes.

import { fill, speak } from "./dom.mjs";
import { makeEditor, makeStrip } from "./editor.mjs";
import { makeRow } from "./filters.mjs";
import { makeInspector } from "./inspector.mjs";
import { makeLayers } from "./layers.mjs";
import { bytesOf, forward, numbersOf, prepare } from "./network.mjs";
import { palette, rangeOf } from "./painting.mjs";

const data = JSON.parse(document.getElementById("data").textContent);
const { text } = data;
const state = { slots: [null, null], active: 0, filter: 0, oneRange: false, tool: "brush", spot: null, channel: null };
const passesOn = ({ layer }) => layer === "flatten" || layer === "dropout";
// What of the page the next frame draws: 0 nothing, 1 what another spot changes, 2 all of it.
let wanted = 0;

const app = {
    data, text, state,
    layers: prepare(data.layers),
    shape: shapeOf(data.input),
    inferno: palette(data.inferno),
    diverging: palette(data.diverging),
    slot: () => state.slots[state.active],
    hasMaps: (layer) => !passesOn(app.layers[layer]) && app.layers[layer].output.length === 3,
    className: (unit) => data.names[unit] ?? String(unit),
    imageName(index) {
        const { number, label } = data.images[index];
        const name = fill(text.image_number, { index: number });
        return label === null ? name : `${name} · ${app.className(label)}`;
    },
    change(what) {
        Object.assign(state, what);
        want(2);
    },
    // Another pixel, and perhaps another channel of it.
    look(spot, channel = null) {
        Object.assign(state, { spot, channel });
        want(1);
    },
    activate(place) {
        if (state.active !== place && state.slots[place]) app.change({ active: place });
    },
    choose(index, place = state.active) {
        const image = { ...app.images[index], values: app.images[index].values.slice() };
        state.slots[place] = { image, chosen: index, drawn: false };
        want(2);
    },
    edit(place, how) {
        how(state.slots[place].image);
        Object.assign(state.slots[place], { drawn: true, outputs: null });
        want(2);
    },
    // Where a layer's inputs come from, behind what only passes them on: a layer or the image (−1), with its shape if the
    // inputs are pixels.
    sourceOf(layer) {
        let source = layer - 1;
        while (source >= 0 && passesOn(app.layers[source])) source--;
        const output = source < 0 ? app.shape : app.layers[source].output;
        return { layer: source, shape: output.length === 3 ? output : null };
    },
    inputName({ shape }, input) {
        if (!shape) return `${text.unit} ${input}`;
        const [channels, rows, columns] = shape;
        const pixel = fill(text.pixel, { row: Math.floor(input / columns) % rows, column: input % columns });
        const channel = Math.floor(input / (rows * columns));
        return channels > 1 ? `${fill(text.channel, { channel })}, ${pixel}` : pixel;
    },
};

// As [channels, rows, columns]; numbers in a row are a square where they make one.
function shapeOf(input) {
    if (input.length === 3) return input;
    if (input.length === 2) return [1, ...input];
    const count = input.reduce((a, b) => a * b);
    const side = Math.round(Math.sqrt(count));
    return side * side === count ? [1, side, side] : [1, 1, count];
}

// Bytes over `divisor`; without one they are float32 numbers.
function imagesOf({ divisor, pixels, images }, shape) {
    const numbers = divisor ? Float32Array.from(bytesOf(pixels), (byte) => byte / divisor) : numbersOf(pixels);
    const [low, most] = rangeOf(numbers);
    const size = numbers.length / images.length;
    return images.map((_, i) => {
        return { values: numbers.slice(i * size, (i + 1) * size), shape, low, high: most > low ? most : low + 1 };
    });
}

// The brightest pixel of the first layer's first map; in a network without maps its first unit. None if all only pass on.
function firstSpot() {
    const layer = app.layers.findIndex((each) => !passesOn(each));
    if (layer < 0 || !app.hasMaps(layer)) return { layer, unit: 0 };
    const [, rows, columns] = app.layers[layer].to;
    const map = app.slot().outputs[layer].subarray(0, rows * columns);
    const at = map.indexOf(rangeOf(map)[1]);
    return { layer, row: Math.floor(at / columns), column: at % columns };
}

function compute() {
    for (const slot of state.slots) if (slot) slot.outputs ??= forward(app.layers, slot.image.values);
}

function want(much) {
    if (!wanted) requestAnimationFrame(draw);
    wanted = Math.max(wanted, much);
}

function draw() {
    compute();
    if (wanted > 1) for (const view of views) view();
    inspect();
    mark();
    wanted = 0;
}

app.images = imagesOf(data, app.shape);
app.choose(0);
compute();
state.spot = firstSpot();
speak(document, text);
document.getElementById("about").textContent = data.about;
document.getElementById("inspector").hidden = state.spot.layer < 0;
const inspect = state.spot.layer < 0 ? () => {} : makeInspector(app);
const [drawRow, mark] = makeRow(app);
const views = [makeStrip(app), makeEditor(app, 0), makeEditor(app, 1), drawRow, makeLayers(app)];
const compare = document.getElementById("compare");
compare.hidden = app.images.length < 2;
compare.addEventListener("change", ({ target }) => {
    if (!target.checked) return app.change({ active: 0, slots: [state.slots[0], null] });
    app.choose((state.slots[0].chosen + 1) % app.images.length, 1);
    app.activate(1);
});
// The page around, if there is one, makes room for all of this one.
const tellHeight = () => window.parent.postMessage({ height: document.documentElement.offsetHeight }, "*");
new ResizeObserver(() => {
    want(2);
    tellHeight();
}).observe(document.body);
// A frame that is out of sight gets no animation frames: what it shows first is drawn at once.
draw();
tellHeight();
// For the browser's console.
window.explorer = { app, draw: () => app.change({}) ?? draw() };
