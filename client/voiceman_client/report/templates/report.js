"use strict";
(() => {
  document.getElementById("print")?.addEventListener("click", () => window.print());
  const source = document.getElementById("data");
  const audio = document.getElementById("audio");
  if (!source || !audio) return;

  const data = JSON.parse(source.textContent);
  const lines = [...document.querySelectorAll(".line")];
  const times = lines.map((line) => [Number(line.dataset.start), Number(line.dataset.end)]);
  const playOn = document.getElementById("play-on");
  const playhead = document.getElementById("playhead");
  const chart = document.getElementById("chart");
  const left = Number(chart.dataset.left);
  let stopAt = Infinity;
  let current = null;

  // Hearing

  function hear(line) {
    const [start, end] = times[lines.indexOf(line)];
    stopAt = playOn.checked ? Infinity : end;
    const begin = () => {
      audio.currentTime = start;
      audio.play().catch(() => {}); // the error event says what is wrong
    };
    if (audio.readyState > 0) begin();
    else {
      audio.addEventListener("loadedmetadata", begin, { once: true });
      audio.load();
    }
    mark(line);
  }

  function mark(line) {
    if (line === current) return;
    current?.classList.remove("playing");
    current?.removeAttribute("aria-current");
    current = line;
    if (!line) return;
    line.classList.add("playing");
    line.setAttribute("aria-current", "true");
    const text = line.querySelector(".text").textContent;
    document.getElementById("now").textContent =
      `${line.querySelector(".time").textContent} ${text.slice(0, 80)}`;
  }

  // The last line that has begun, by bisection.
  function lineAt(seconds) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle][0] <= seconds) low = middle + 1;
      else high = middle;
    }
    return lines[Math.max(0, low - 1)];
  }

  audio.addEventListener("timeupdate", () => {
    const now = audio.currentTime;
    if (now >= stopAt && !audio.paused) {
      audio.pause();
      stopAt = Infinity;
      return;
    }
    playhead.hidden = false;
    playhead.style.left = `${100 * (left + (1 - left) * Math.min(1, now / data.duration))}%`;
    if (!audio.paused && stopAt === Infinity) mark(lineAt(now));
  });
  playOn.addEventListener("change", () => {
    if (playOn.checked) stopAt = Infinity;
  });
  audio.addEventListener("error", () => {
    document.getElementById("unplayable").hidden = false;
  });
  if (audio.error) document.getElementById("unplayable").hidden = false;

  const list = document.getElementById("lines");
  list.addEventListener("click", (event) => {
    const line = event.target.closest(".line");
    if (!line || event.target.closest("details") || String(getSelection())) return;
    hear(line);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step || !event.target.matches(".time")) return;
    let next = event.target.closest(".line")[step];
    while (next && next.hidden) next = next[step];
    if (next) next.querySelector(".time").focus();
    event.preventDefault();
  });

  // Jumping

  function show(line) {
    if (line.hidden) {
      filters.reset();
      filter();
    }
    line.scrollIntoView({ block: "center" });
    line.querySelector(".time").focus({ preventScroll: true });
  }
  chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - left) / (1 - left);
    if (share < 0) return;
    const line = lineAt(share * data.duration);
    show(line);
    hear(line);
  });
  document.addEventListener("click", (event) => {
    const jump = event.target.closest("a.jump");
    if (!jump) return;
    event.preventDefault();
    show(document.querySelector(jump.getAttribute("href")));
  });

  // Filters

  const filters = document.getElementById("filters");
  function filter() {
    const chosen = new FormData(filters);
    const speakers = new Set(chosen.getAll("speaker"));
    const categories = chosen.getAll("category");
    const text = chosen.get("text").trim().toLowerCase();
    let count = 0;
    for (const line of lines) {
      const has = line.dataset.categories.split(" ");
      line.hidden = !(
        speakers.has(line.dataset.speaker) &&
        (!categories.length || categories.some((name) => has.includes(name))) &&
        (!chosen.has("overlap") || "overlap" in line.dataset) &&
        (!text || line.querySelector(".text").textContent.toLowerCase().includes(text))
      );
      count += !line.hidden;
    }
    document.getElementById("shown").textContent = data.shown
      .replace("{shown}", count)
      .replace("{total}", lines.length);
  }
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter)); // after the fields are reset
  filter(); // a browser restores fields when a page is loaded again

  // Details, made when they are opened: all of them at once would be too much for a page

  function element(name, text = "", attributes = {}) {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
  function table(header, rows) {
    const made = element("table");
    if (header.length) {
      const row = made.createTHead().insertRow();
      for (const cell of header) row.append(element("th", data.texts[cell], { scope: "col" }));
    }
    const body = made.createTBody();
    for (const cells of rows) {
      const row = body.insertRow();
      for (const cell of cells) row.append(element("td", data.texts[cell], { dir: "auto" }));
    }
    return made;
  }
  list.addEventListener(
    "toggle",
    (event) => {
      const details = event.target;
      if (!details.open || details.childElementCount > 1) return;
      for (const [title, note, header, rows] of data.lines[lines.indexOf(details.closest(".line"))]) {
        details.append(element("h4", data.texts[title]));
        if (data.texts[note]) details.append(element("p", data.texts[note]));
        if (rows.length) details.append(table(header, rows));
      }
    },
    true, // toggle does not bubble
  );
})();
