// What the page computes, held against numbers worked out by hand or by the plainest loops.

import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, explainPooling, forward, numbersOf, prepare, windowAt } from "../../src/explorer/page/network.mjs";

const base64 = (numbers) => Buffer.from(new Float32Array(numbers).buffer).toString("base64");
const close = (got, expected) => {
    assert.equal(got.length, expected.length);
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(got[i] - value) < 1e-6, `${i}: ${got[i]}, not ${value}`);
};
const window = (size, strides, padding) => ({ size, strides, padding });
const conv = (input, output, kernel, bias, place, activation = "linear") => ({
    layer: "conv2d", input, output, kernel: base64(kernel), bias: base64(bias), activation, ...place,
});
const run = (layer, image) => forward(prepare([layer]), Float32Array.from(image))[0];

test("base64 becomes numbers", () => {
    assert.deepEqual([...numbersOf(base64([0, -1.5, 3e30]))], [0, -1.5, Math.fround(3e30)]);
});

test("a convolution multiplies its window and adds the bias", () => {
    const layer = conv([1, 3, 3], [1, 2, 2], [1, 0, 0, -2], [0.5], window([2, 2], [1, 1], "valid"));
    close(run(layer, [1, 2, 3, 4, 5, 6, 7, 8, 9]), [1 - 10 + 0.5, 2 - 12 + 0.5, 4 - 16 + 0.5, 5 - 18 + 0.5]);
});

test("channels add up, filters stand one behind the other", () => {
    const layer = conv([2, 1, 2], [2, 1, 2], [1, 10, 2, 0], [0, 1], window([1, 1], [1, 1], "valid"));
    close(run(layer, [1, 2, 3, 4]), [31, 42, 3, 5]);
});

test("padding has the smaller half before the image", () => {
    // Three columns beyond the edges of two: one before, two behind.
    const layer = conv([1, 1, 2], [1, 1, 2], [1, 10, 100, 1000], [0], window([1, 4], [1, 1], "same"));
    close(run(layer, [1, 2]), [10 + 200, 1 + 20]);
    assert.deepEqual(windowAt(prepare([layer])[0], 0), { top: 0, left: -1, bottom: 1, right: 3 });
});

test("strides leave windows out", () => {
    const layer = conv([1, 1, 5], [1, 1, 2], [1, 1], [0], window([1, 2], [1, 3], "valid"));
    close(run(layer, [1, 2, 3, 4, 5]), [3, 9]);
});

test("a convolution over many places is the plainest loops'", () => {
    const image = Array.from({ length: 30 }, (_, i) => Math.sin(i));
    const layer = conv([1, 5, 6], [1, 4, 5], [1, 2, 3, 4], [0], window([2, 2], [1, 1], "valid"));
    const expected = [];
    for (let y = 0; y < 4; y++) {
        for (let x = 0; x < 5; x++) {
            expected.push(image[6 * y + x] + 2 * image[6 * y + x + 1] + 3 * image[6 * y + x + 6] + 4 * image[6 * y + x + 7]);
        }
    }
    close(run(layer, image), expected);
});

test("a pooling sees nothing beyond the edges, also below zero", () => {
    const layer = { layer: "max_pooling2d", input: [1, 3, 3], output: [1, 2, 2], ...window([2, 2], [2, 2], "same") };
    close(run(layer, [-9, -8, -7, -6, -5, -4, -3, -2, -1]), [-5, -4, -2, -1]);
    const { values, winner } = explainPooling(prepare([layer])[0], Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]), 0, 3);
    assert.deepEqual([...values], [9, -Infinity, -Infinity, -Infinity]);
    assert.equal(winner, 0);
});

test("a dense layer sees all numbers", () => {
    const layer = (activation) => ({
        layer: "dense", input: [2], output: [3], kernel: base64([1, 2, 3, 4, -5, 0]), bias: base64([0, 1, 2]), activation,
    });
    close(run(layer("linear"), [1, -1]), [-1, 0, -3]);
    close(run(layer("relu"), [1, -1]), [0, 0, 0]);
    close(run(layer("tanh"), [1, -1]), [-1, 0, -3].map(Math.tanh));
    close(run(layer("sigmoid"), [1, -1]), [-1, 0, -3].map((z) => 1 / (1 + Math.exp(-z))));
    const powers = [-1, 0, -3].map(Math.exp);
    close(run(layer("softmax"), [1, -1]), powers.map((power) => power / (powers[0] + powers[1] + powers[2])));
});

test("softmax over channels is one for each pixel, and huge logits stay numbers", () => {
    const layer = conv([2, 1, 2], [2, 1, 2], [1, 0, 0, 1], [0, 0], window([1, 1], [1, 1], "valid"), "softmax");
    close(run(layer, [1000, 0, 1000, Math.log(3)]), [0.5, 0.25, 0.5, 0.75]);
});

test("flatten and dropout pass on", () => {
    const outputs = forward(prepare([
        { layer: "flatten", input: [1, 1, 2], output: [2] },
        { layer: "dropout", rate: 0.9, input: [2], output: [2] },
    ]), Float32Array.of(1, 2));
    assert.deepEqual(outputs.map((output) => [...output]), [[1, 2], [1, 2]]);
});

test("the explanation adds up to the number", () => {
    const random = (length) => Array.from({ length }, (_, i) => Math.sin(7 * i + length));
    const layer = conv([3, 4, 4], [2, 2, 4], random(54), [0.1, -0.2], window([3, 3], [2, 1], "same"));
    const [prepared] = prepare([layer]);
    const image = Float32Array.from(random(48));
    const [output] = forward([prepared], image);
    for (let pixel = 0; pixel < 8; pixel++) {
        const { bias, parts, sum } = explain(prepared, image, 1, pixel);
        assert.ok(Math.abs(sum - output[8 + pixel]) < 1e-6);
        assert.equal(bias, Math.fround(-0.2));
        assert.deepEqual(parts.map(({ channel }) => channel).sort(), [0, 1, 2]);
        const sizes = parts.map((part) => Math.abs(part.sum));
        assert.deepEqual(sizes, sizes.slice().sort((a, b) => b - a));
    }
});
