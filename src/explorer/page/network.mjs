// The network: from its weights and an image to the output of every layer, and how each number in it came about. Nothing in
// here knows of a page: the tests run it in Node.

export function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
}

export const numbersOf = (base64) => new Float32Array(bytesOf(base64).buffer);

// The layers with their weights as numbers, and with what their windows need: `from` and `to`, the shapes as [channels,
// rows, columns], and `origin`, the row and the column at which the first window begins. With padding that is outside of
// the image, the smaller half before it. A dense layer is a convolution whose channels are single numbers.
export function prepare(layers) {
    return layers.map((layer) => {
        const { kernel, bias, size = [1, 1], strides = [1, 1] } = layer;
        const [from, to] = [layer.input, layer.output].map((shape) => (shape.length === 3 ? shape : [shape[0], 1, 1]));
        const before = (axis) => {
            const reach = (to[axis + 1] - 1) * strides[axis] + size[axis];
            return layer.padding === "same" ? -Math.floor(Math.max(0, reach - from[axis + 1]) / 2) : 0;
        };
        const weights = kernel ? { kernel: numbersOf(kernel), bias: numbersOf(bias) } : {};
        return { ...layer, size, strides, from, to, origin: [before(0), before(1)], ...weights };
    });
}

// The outputs of all layers, first to last. A layer that only passes its input on gives the same array.
export function forward(layers, image) {
    let x = image;
    return layers.map((layer) => {
        if (layer.kernel) x = activate(layer, convolve(layer, x));
        else if (layer.layer === "max_pooling2d") x = pool(layer, x);
        return x;
    });
}

function convolve(layer, x) {
    const { kernel, bias, from, to: [filters, rows, columns], size } = layer;
    const [taps, area] = [from[0] * size[0] * size[1], rows * columns];
    const output = new Float32Array(filters * area);
    const seen = new Float32Array(taps);
    for (let pixel = 0; pixel < area; pixel++) {
        look(layer, x, 0, pixel, seen, 0);
        for (let filter = 0; filter < filters; filter++) {
            let sum = bias[filter];
            for (let i = 0; i < taps; i++) sum += kernel[filter * taps + i] * seen[i];
            output[filter * area + pixel] = sum;
        }
    }
    return output;
}

function pool(layer, x) {
    const { to: [channels, rows, columns], size } = layer;
    const area = rows * columns;
    const output = new Float32Array(channels * area);
    const seen = new Float32Array(size[0] * size[1]);
    for (let at = 0; at < output.length; at++) {
        output[at] = Math.max(...look(layer, x, Math.floor(at / area), at % area, seen, -Infinity));
    }
    return output;
}

// Where the window stands that makes this pixel, counted row by row; it may reach beyond the image.
export function windowAt({ origin, strides, size, to: [, , columns] }, pixel) {
    const top = origin[0] + Math.floor(pixel / columns) * strides[0];
    const left = origin[1] + (pixel % columns) * strides[1];
    return { top, left, bottom: top + size[0], right: left + size[1] };
}

// Fills `seen` with what the window sees from this channel on; beyond the image that is `outside`.
function look(layer, x, channel, pixel, seen, outside) {
    const [, height, width] = layer.from;
    const { top, left, bottom, right } = windowAt(layer, pixel);
    for (let at = 0; at < seen.length; channel++) {
        for (let y = top; y < bottom; y++) {
            const line = (channel * height + y) * width;
            const inside = y >= 0 && y < height;
            for (let i = left; i < right; i++) seen[at++] = inside && i >= 0 && i < width ? x[line + i] : outside;
        }
    }
    return seen;
}

const ACTIVATE = {
    linear: (z) => z,
    relu: (z) => Math.max(0, z),
    sigmoid: (z) => 1 / (1 + Math.exp(-z)),
    tanh: Math.tanh,
};

function activate({ activation, output: [classes] }, values) {
    if (activation !== "softmax") return values.map(ACTIVATE[activation]);
    // Over the classes, at each pixel if there are several.
    const area = values.length / classes;
    for (let pixel = 0; pixel < area; pixel++) {
        const own = Array.from({ length: classes }, (_, i) => values[pixel + i * area]);
        const most = Math.max(...own);
        const powers = own.map((z) => Math.exp(z - most));
        const sum = powers.reduce((a, b) => a + b);
        for (const [i, power] of powers.entries()) values[pixel + i * area] = power / sum;
    }
    return values;
}

// How a filter's or a unit's number was made: its bias, the sum with it, and for each channel what the window sees there,
// the kernel, and what they add. The channels that weigh most come first.
export function explain(layer, x, filter, pixel) {
    const [channels] = layer.from;
    const taps = layer.size[0] * layer.size[1];
    const seen = look(layer, x, 0, pixel, new Float32Array(channels * taps), 0);
    const parts = Array.from({ length: channels }, (_, channel) => {
        const values = seen.subarray(channel * taps, (channel + 1) * taps);
        const start = (filter * channels + channel) * taps;
        const kernel = layer.kernel.subarray(start, start + taps);
        return { channel, values, kernel, sum: values.reduce((sum, value, i) => sum + value * kernel[i], 0) };
    });
    parts.sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
    const bias = layer.bias[filter];
    return { bias, parts, sum: parts.reduce((sum, part) => sum + part.sum, bias) };
}

// What a pooling's window sees (−∞ beyond the image), and which of it won.
export function explainPooling(layer, x, channel, pixel) {
    const values = look(layer, x, channel, pixel, new Float32Array(layer.size[0] * layer.size[1]), -Infinity);
    return { values, winner: values.indexOf(Math.max(...values)) };
}
