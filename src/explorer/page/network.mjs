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
    // Four pixels at once: each weight is read once for all of them, which is four times as fast.
    const seen = [0, 1, 2, 3].map(() => new Float32Array(taps));
    const sums = new Float64Array(4);
    for (let pixel = 0; pixel < area; pixel += 4) {
        const count = Math.min(4, area - pixel);
        for (let i = 0; i < count; i++) {
            look(layer, x, 0, Math.floor((pixel + i) / columns), (pixel + i) % columns, seen[i], 0);
        }
        for (let filter = 0; filter < filters; filter++) {
            multiply(kernel, filter * taps, seen, sums);
            for (let i = 0; i < count; i++) output[filter * area + pixel + i] = bias[filter] + sums[i];
        }
    }
    return output;
}

// The sums of a kernel's products with four windows, in double precision.
function multiply(kernel, start, [first, second, third, fourth], sums) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < first.length; i++) {
        const weight = kernel[start + i];
        a += weight * first[i];
        b += weight * second[i];
        c += weight * third[i];
        d += weight * fourth[i];
    }
    [sums[0], sums[1], sums[2], sums[3]] = [a, b, c, d];
}

function pool(layer, x) {
    const [channels, rows, columns] = layer.to;
    const seen = new Float32Array(layer.size[0] * layer.size[1]);
    const output = new Float32Array(channels * rows * columns);
    for (let at = 0; at < output.length; at++) {
        const [channel, row] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows];
        output[at] = largest(look(layer, x, channel, row, at % columns, seen, -Infinity));
    }
    return output;
}

function largest(values) {
    let most = -Infinity;
    for (const value of values) if (value > most) most = value;
    return most;
}

// Where the window stands that makes this pixel; it may reach beyond the image.
export function windowAt({ origin, strides, size }, row, column) {
    const [top, left] = [origin[0] + row * strides[0], origin[1] + column * strides[1]];
    return { top, left, bottom: top + size[0], right: left + size[1] };
}

// Fills `seen` with what the window sees from this channel on; beyond the image that is `outside`.
function look(layer, x, channel, row, column, seen, outside) {
    const [, height, width] = layer.from;
    const { top, left, bottom, right } = windowAt(layer, row, column);
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
export function explain(layer, x, filter, row = 0, column = 0) {
    const [channels] = layer.from;
    const taps = layer.size[0] * layer.size[1];
    const seen = look(layer, x, 0, row, column, new Float32Array(channels * taps), 0);
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

// What a pooling's window sees (NaN beyond the image), and which of it won.
export function explainPooling(layer, x, channel, row, column) {
    const values = look(layer, x, channel, row, column, new Float32Array(layer.size[0] * layer.size[1]), NaN);
    return { values, winner: values.indexOf(largest(values)) };
}
