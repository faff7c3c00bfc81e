// Drawing, and what is read on the page: colours and numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, pixelName, short, signed, told } from "../../src/explorer/page/dom.mjs";
import { centre, stroke } from "../../src/explorer/page/drawing.mjs";
import { balancedRange, colorOf, cssOf, rangeOf, scaleOf } from "../../src/explorer/page/painting.mjs";

const paper = (size, channels = 1) => ({
    values: new Float32Array(channels * size * size), shape: [channels, size, size], low: 0, high: 1,
});

// Centre of mass [row, column], and the box [top, left, bottom, right] of what is not paper.
function look({ values, shape: [, height, width] }) {
    let [mass, row, column] = [0, 0, 0];
    const box = [height, width, -1, -1];
    values.forEach((ink, at) => {
        const [y, x] = [Math.floor(at / width), at % width];
        mass += ink;
        row += ink * y;
        column += ink * x;
        if (ink > 0.1) box.splice(0, 4, Math.min(box[0], y), Math.min(box[1], x), Math.max(box[2], y), Math.max(box[3], x));
    });
    return { middle: [row / mass, column / mass], box };
}

test("a stroke is a line with soft edges, and an eraser takes it away", () => {
    const image = paper(28);
    stroke(image, [5.5, 5.5], [5.5, 20.5], false);
    const at = (row, column) => image.values[row * 28 + column];
    for (let column = 6; column < 20; column++) assert.equal(at(5, column), 1);
    assert.ok(at(6, 10) > 0 && at(6, 10) < 1);
    assert.equal(at(8, 10), 0);
    assert.equal(at(5, 25), 0);
    stroke(image, [5.5, 0], [5.5, 28], true);
    assert.equal(at(5, 10), 0);
});

test("a stroke keeps what is darker already, in every channel", () => {
    const image = { ...paper(28, 3), low: -1, high: 3 };
    image.values.fill(2);
    stroke(image, [14, 14], [14, 14], false);
    assert.ok(Math.min(...image.values) === 2);
    assert.deepEqual([0, 1, 2].map((channel) => image.values[channel * 784 + 13 * 28 + 13] > 2), [true, true, true]);
});

test("a drawing is centred as MNIST's digits are", () => {
    for (const [from, to] of [[[3, 4], [9, 6]], [[1, 1], [26, 26]], [[20, 2], [21, 25]]]) {
        const image = paper(28);
        stroke(image, from, to, false);
        centre(image);
        const { middle, box } = look(image);
        for (const part of middle) assert.ok(Math.abs(part - 13.5) < 0.3, `centre of mass ${middle}`);
        const longer = Math.max(box[2] - box[0], box[3] - box[1]) + 1;
        assert.ok(longer >= 18 && longer <= 23, `${longer} pixels long`);
    }
});

test("an empty paper stays empty", () => {
    const image = paper(28);
    centre(image);
    assert.deepEqual(rangeOf(image.values), [0, 0]);
});

test("colours go from the lowest to the highest number", () => {
    const bytes = Array.from({ length: 256 }, (_, i) => [i, 0, 1, 255]).flat();
    const scale = scaleOf(Buffer.from(bytes).toString("base64"), rangeOf);
    const red = (value, range) => colorOf(scale, value, range) & 255;
    assert.equal(colorOf(scale, 0.5, [0, 1]), 0xff010080);
    assert.deepEqual([red(0, [0, 1]), red(1, [0, 1]), red(3, [3, 3])], [0, 255, 0]);
    assert.deepEqual(scale.range([2, -1, 3]), [-1, 3]);
    assert.deepEqual(balancedRange([-1, 3]), [-3, 3]);
});

test("text on any colour has a contrast of 4.5", () => {
    const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const parts = Array.from({ length: 52 }, (_, i) => 5 * i);
    for (const [red, green, blue] of parts.flatMap((r) => parts.flatMap((g) => parts.map((b) => [r, g, b])))) {
        const { background, color } = cssOf((255 << 24) | (blue << 16) | (green << 8) | red);
        assert.equal(background, `rgb(${red} ${green} ${blue})`);
        const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        const contrast = color === "#000" ? (luminance + 0.05) / 0.05 : 1.05 / (luminance + 0.05);
        assert.ok(contrast >= 4.5, `${background}: ${contrast}`);
    }
});

test("numbers are short", () => {
    const expected = { 0: "0", 1.837: "1.84", 12.34: "12.3", 0.0312: "0.031", 0.000042: "4.2e−5", "-250": "−250" };
    for (const [number, text] of Object.entries(expected)) assert.equal(short(Number(number)), text);
    assert.equal(signed(0.5), "+0.50");
    assert.equal(signed(-0.5), "−0.50");
    assert.equal(fill("{a} of {b}", { a: "{b}", b: 2 }), "{b} of 2");
    assert.equal(told([-1, 12.34]), "−1.00 … 12.3");
    assert.equal(pixelName("{row}/{column}", 27, 26), "1/1");
});
