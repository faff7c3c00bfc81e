// In the place of the still picture: the page, in a frame that can do nothing to the page around it.
(name, title, page) => {
    for (const still of document.querySelectorAll(`[data-explorer="${name}"]:not([hidden])`)) {
        const frame = document.createElement("iframe");
        // JupyterLab's theme, light or dark; elsewhere the system's.
        const theme = { true: "light", false: "dark" }[document.body.dataset.jpThemeLight];
        frame.sandbox = "allow-scripts";
        frame.title = title;
        frame.srcdoc = theme ? page.replace("<html", `<html data-theme="${theme}"`) : page;
        frame.style.cssText = "display: block; width: 100%; height: 900px; border: 0";
        window.addEventListener("message", ({ source, data }) => {
            const height = Number(data?.height);
            if (source === frame.contentWindow && height > 0) frame.style.height = `${Math.min(height, 10000)}px`;
        });
        still.after(frame);
        still.hidden = true;
    }
}
