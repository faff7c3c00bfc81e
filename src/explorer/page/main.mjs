// The page: what is looked at, and one frame for all that changes.

import { makeEditor, makeStrip } from "./editor.mjs";
import { makeRow } from "./filters.mjs";
import { makeInspector } from "./inspector.mjs";
import { makeLayers } from "./layers.mjs";
import { bytesOf, forward, numbersOf, prepare } from "./network.mjs";
import { balancedRange, rangeOf, scaleOf } from "./painting.mjs";

const data = JSON.parse(document.getElementById("data").textContent);
// `slots`: the images that are looked at, of which `active` is the one at work. `spot`: the number that is explained, a
// layer's pixel or unit, and perhaps a channel of it.
const state = { slots: [null, null], active: 0, filter: 0, oneRange: false, spot: null };
let wanted = false;

const app = {
    state,
    text: data.text,
    names: data.names,
    shape: data.shape,
    layers: prepare(data.layers),
    images: imagesOf(data),
    inferno: scaleOf(data.inferno, rangeOf),
    diverging: scaleOf(data.diverging, balancedRange),
    slot: () => state.slots[state.active],
    hasMaps: (layer) => ["conv2d", "max_pooling2d"].includes(app.layers[layer].layer),
    change(what) {
        Object.assign(state, what);
        if (!wanted) requestAnimationFrame(draw);
        wanted = true;
    },
    choose(index, place = state.active) {
        const image = { ...app.images[index], values: app.images[index].values.slice() };
        state.slots[place] = { image, chosen: index, drawn: false };
        app.change({});
    },
    edit(place, how) {
        how(state.slots[place].image);
        Object.assign(state.slots[place], { drawn: true, outputs: null });
        app.change({});
    },
};

// Bytes over `divisor`; without one they are float32 numbers.
function imagesOf({ divisor, pixels, images, shape }) {
    const numbers = divisor ? Float32Array.from(bytesOf(pixels), (byte) => byte / divisor) : numbersOf(pixels);
    const [low, most] = rangeOf(numbers);
    const high = most > low ? most : low + 1;
    const size = numbers.length / images.length;
    return images.map((image, i) => ({ ...image, values: numbers.slice(i * size, (i + 1) * size), shape, low, high }));
}

// The brightest pixel of the first layer's first map, or the largest of its units. None if all layers only pass on.
function firstSpot() {
    const layer = app.layers.findIndex(({ kernel }, index) => kernel || app.hasMaps(index));
    if (layer < 0) return { layer };
    const [count, rows, columns] = app.layers[layer].to;
    const values = app.slot().outputs[layer].subarray(0, app.hasMaps(layer) ? rows * columns : count);
    return { layer, at: values.indexOf(rangeOf(values)[1]) };
}

function draw() {
    wanted = false;
    for (const slot of state.slots) if (slot) slot.outputs ??= forward(app.layers, slot.image.values);
    state.spot ??= firstSpot();
    for (const view of views) view();
}

app.choose(0);
const editors = [makeEditor(app, 0), makeEditor(app, 1)];
const views = [makeStrip(app), ...editors, ...makeRow(app), makeInspector(app), ...makeLayers(app)];
document.querySelector("#compare input").addEventListener("change", ({ target }) => {
    if (!target.checked) return app.change({ active: 0, slots: [state.slots[0], null] });
    app.choose((state.slots[0].chosen + 1) % app.images.length, 1);
    app.change({ active: 1 });
});
// The page around, if there is one, makes room for all of this one.
const tellHeight = () => window.parent.postMessage({ height: document.documentElement.offsetHeight }, "*");
new ResizeObserver(() => {
    app.change({});
    tellHeight();
}).observe(document.body);
// A frame that is out of sight gets no animation frames: what it shows first is drawn at once.
draw();
tellHeight();
// For the browser's console.
window.explorer = { app, draw };
