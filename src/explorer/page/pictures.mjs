// Numbers as elements: in coloured cells, as pictures, and as a picture in which one chooses a place.

import { element, frame, inside, pixelAt, pointOn, short, stepOf } from "./dom.mjs";
import { colorOf, cssOf, paintMaps } from "./painting.mjs";

// A window with more rows or columns is shown without its numbers.
const MOST_NUMBERS = 5;

// Numbers in coloured cells, with others `over` them. Where it is `small`, a number alone is written.
export function numberGrid(values, columns, scale, range, { over, winner, small } = {}) {
    const bare = Math.max(columns, values.length / columns) > (small ? 1 : MOST_NUMBERS);
    const cells = Array.from(values, (value, i) => {
        const cell = element("span", i === winner ? { class: "winner" } : {});
        if (!Number.isFinite(value)) return cell;
        Object.assign(cell.style, cssOf(colorOf(scale, value, range)));
        if (!bare) cell.append(short(value), ...(over ? [element("small", {}, `× ${short(over[i])}`)] : []));
        return cell;
    });
    const kind = bare ? "grid bare" : over ? "grid over" : "grid";
    return element("div", { class: kind, style: `--columns: ${columns}` }, ...cells);
}

// Channels side by side in about a square.
export function channelPicture(label, values, [channels, rows, columns], scale, width) {
    const canvas = element("canvas", { role: "img", "aria-label": label });
    const across = Math.ceil(Math.sqrt(channels));
    const side = Math.max(1, Math.floor(width / (across * columns)));
    paintMaps(canvas, values, [channels, rows, columns], scale, scale.range(values), { across, side, gap: 2 });
    return canvas;
}

// A picture of `count` places in rows, of which one is chosen: by these events of a pointer, or by the arrow keys. `paint`
// paints it and gives the number of columns; `current` is less than 0 where none is chosen.
export function makeChoice(count, events, current, choose, paint) {
    const ring = element("i", { class: "frame" });
    const canvas = element("canvas", { tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": count - 1 });
    let [rows, columns] = [1, count];
    const take = (at) => {
        if (at >= 0 && at < count) choose(at);
    };
    for (const name of events) {
        canvas.addEventListener(name, (event) => {
            const [y, x] = pointOn(canvas, event, [rows, columns]);
            take(inside(y, rows) * columns + inside(x, columns));
        });
    }
    canvas.addEventListener("keydown", (event) => {
        const step = stepOf(event);
        if (step) take(Math.max(0, current()) + step[0] * columns + step[1]);
    });
    const draw = () => {
        columns = paint(canvas);
        rows = Math.ceil(count / columns);
        const at = current();
        frame(ring, at >= 0 && at < count && pixelAt(Math.floor(at / columns), at % columns), [rows, columns]);
        canvas.setAttribute("aria-valuenow", inside(at, count));
    };
    return { node: element("div", { class: "picture" }, canvas, ring), draw };
}
