// Drawing on an image: `[channels, height, width]` in one row of numbers, from `low` (paper) to `high` (ink).

// A stroke from one point to another, [row, column] in pixels, with soft edges. The eraser's is paper.
// It is as wide as a pen's on MNIST's digits: about two of 28 pixels.
export function stroke(image, from, to, erase) {
    const { values, shape: [channels, height, width], low, high } = image;
    const radius = Math.max(0.5, Math.min(height, width) / 28);
    const [dy, dx] = [to[0] - from[0], to[1] - from[1]];
    const length = dy * dy + dx * dx;
    for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
            // Of the stroke's points the one nearest to the pixel.
            const [y, x] = [row + 0.5 - from[0], column + 0.5 - from[1]];
            const along = length ? Math.min(1, Math.max(0, (y * dy + x * dx) / length)) : 0;
            const distance = Math.hypot(y - along * dy, x - along * dx);
            const ink = (high - low) * Math.min(1, Math.max(0, radius + 0.5 - distance));
            for (let channel = 0; channel < channels; channel++) {
                const at = (channel * height + row) * width + column;
                values[at] = erase ? Math.min(values[at], high - ink) : Math.max(values[at], low + ink);
            }
        }
    }
}

// As MNIST's digits are: the longer side of what is drawn takes 20 of 28 pixels, its centre of mass is the image's.
export function centre({ values, shape: [, height, width], low, high }) {
    const area = height * width;
    const [box, middle] = [[height, width, -1, -1], [0, 0]];
    let mass = 0;
    for (let at = 0; at < values.length; at++) {
        const ink = (values[at] - low) / (high - low);
        const [y, x] = [Math.floor((at % area) / width), at % width];
        if (ink < 0.1) continue;
        mass += ink;
        middle[0] += ink * y;
        middle[1] += ink * x;
        box.splice(0, 4, Math.min(box[0], y), Math.min(box[1], x), Math.max(box[2], y), Math.max(box[3], x));
    }
    if (!mass) return;
    const longer = Math.max(box[2] - box[0], box[3] - box[1]) + 1;
    const scale = longer / ((20 / 28) * Math.min(height, width));
    const old = values.slice();
    for (let at = 0; at < values.length; at++) {
        const channel = Math.floor(at / area) * area;
        const y = middle[0] / mass + (Math.floor((at % area) / width) - (height - 1) / 2) * scale;
        const x = middle[1] / mass + ((at % width) - (width - 1) / 2) * scale;
        values[at] = between(old.subarray(channel, channel + area), [height, width], y, x, low);
    }
}

// Between the four pixels around a point.
function between(values, [height, width], y, x, outside) {
    const pixel = (r, c) => (r >= 0 && r < height && c >= 0 && c < width ? values[r * width + c] : outside);
    const [r, c] = [Math.floor(y), Math.floor(x)];
    const line = (row) => pixel(row, c) * (c + 1 - x) + pixel(row, c + 1) * (x - c);
    return line(r) * (r + 1 - y) + line(r + 1) * (y - r);
}
