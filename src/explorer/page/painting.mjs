// Numbers as colours, painted into a canvas.

import { bytesOf } from "./network.mjs";

// The lowest and the highest number.
export function rangeOf(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
    }
    return [low, high];
}

// From minus to plus the largest: 0 stands in the middle.
export function balancedRange(values) {
    const [low, high] = rangeOf(values);
    const reach = Math.max(Math.abs(low), Math.abs(high));
    return [-reach, reach];
}

// 256 colours, a number each as a canvas has them, and the range of numbers that they stand for by themselves.
export const scaleOf = (base64, range) => ({ colors: new Uint32Array(bytesOf(base64).buffer), range });

export function colorOf({ colors }, value, [low, high]) {
    const share = high > low ? (value - low) / (high - low) : 0;
    // matplotlib's own rounding to one of 256.
    return colors[Math.min(255, Math.max(0, Math.floor(share * 256)))];
}

// A colour for CSS, and the one of black and white that can be read on it.
export function cssOf(color) {
    const parts = [color & 255, (color >> 8) & 255, (color >> 16) & 255];
    const [red, green, blue] = parts.map((part) => (part / 255) ** 2.2);
    const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    return { background: `rgb(${parts.join(" ")})`, color: luminance > 0.18 ? "#000" : "#fff" };
}

// Pictures of the same size in rows of `across`, half a `gap` around each; a pixel is a square of `side`. `colorsOf` gives
// for a picture's number what gives the colours of its pixels.
function paint(canvas, [count, rows, columns], colorsOf, { across = 1, side = 1, gap = 0 } = {}) {
    const [down, right] = [rows * side + gap, columns * side + gap];
    const [width, height] = [right * across, down * Math.ceil(count / across)];
    // The page is laid out anew if it is set, even to what it was.
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let picture = 0; picture < count; picture++) {
        const colorAt = colorsOf(picture);
        const [top, left] = [Math.floor(picture / across) * down + gap / 2, (picture % across) * right + gap / 2];
        for (let at = 0; at < rows * columns; at++) {
            const color = colorAt(at);
            const corner = (top + Math.floor(at / columns) * side) * width + left + (at % columns) * side;
            for (let y = 0; y < side; y++) {
                for (let x = 0; x < side; x++) pixels[corner + y * width + x] = color;
            }
        }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
}

// Maps, all to one range, or each to its own if none is given.
export function paintMaps(canvas, values, shape, scale, range, layout) {
    const area = shape[1] * shape[2];
    const colorsOf = (map) => {
        const numbers = values.subarray(map * area, (map + 1) * area);
        const own = range ?? scale.range(numbers);
        return (at) => colorOf(scale, numbers[at], own);
    };
    paint(canvas, shape, colorsOf, layout);
}

// An image as it is: red, green and blue if it has three channels, grey otherwise.
export function paintImage(canvas, { values, shape: [channels, rows, columns], low, high }) {
    const next = channels === 3 ? rows * columns : 0;
    const shade = (at) => ((values[at] - low) / (high - low)) * 255;
    const colorAt = (at) => (255 << 24) | (shade(at + 2 * next) << 16) | (shade(at + next) << 8) | shade(at);
    paint(canvas, [1, rows, columns], () => colorAt);
}

// Numbers as bars above and below zero, in the canvas's own text colour.
export function paintBars(canvas, values, [low, high]) {
    const [height, step] = [64, Math.max(3, Math.min(24, Math.floor(760 / values.length)))];
    [canvas.width, canvas.height] = [values.length * step, height];
    const context = canvas.getContext("2d");
    context.fillStyle = getComputedStyle(canvas).color;
    const [bottom, top] = [Math.min(low, 0), Math.max(high, 0)];
    const scale = (height - 1) / (top - bottom || 1);
    context.translate(0, top * scale);
    context.fillRect(0, 0, canvas.width, 1);
    for (const [i, value] of values.entries()) context.fillRect(i * step, 0, step - Math.ceil(step / 8), -value * scale);
}
