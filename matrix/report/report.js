"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const table = byId("cells"), form = byId("filters"), detail = byId("detail");
  const releases = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const rows = [...table.querySelectorAll("tr[data-function]")];
  const bodies = [...table.tBodies];
  const cellsOf = (row) => [...row.cells].slice(1);

  // Filters: rows that match all of them stay; a heading stays while a row below it does.
  const matches = (row, wanted) => {
    const body = row.parentElement.dataset;
    if (wanted.module && body.module !== wanted.module) return false;
    if (wanted.tier && body.tier !== wanted.tier) return false;
    if (!row.dataset.function.toLowerCase().includes(wanted.words)) return false;
    if (!wanted.verdicts.length) return true;
    const cells = wanted.release ? [row.cells[releases.indexOf(wanted.release) + 1]] : cellsOf(row);
    return cells.some((cell) => wanted.verdicts.includes(cell.classList[0]));
  };
  const filter = () => {
    const wanted = {
      words: byId("words").value.trim().toLowerCase(),
      module: byId("module").value,
      tier: byId("tier").value,
      release: byId("release").value,
      verdicts: [...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value),
    };
    for (const row of rows) row.hidden = !matches(row, wanted);
    for (const body of bodies) {
      if (body.dataset.module) body.hidden = ![...body.rows].some((row) => row.dataset.function && !row.hidden);
    }
    for (const body of bodies) {
      const same = (other) => other.dataset.module && other.dataset.tier === body.dataset.tier && !other.hidden;
      if (!body.dataset.module) body.hidden = !bodies.some(same);
    }
    const shown = rows.filter((row) => !row.hidden);
    byId("shown").textContent = `${shown.length} of ${rows.length} functions`;
    if (chosen.closest("tr").hidden) {
      if (shown.length) choose(shown[0].cells[1]);
      chosen.classList.remove("chosen");
      detail.hidden = true;
    }
  };

  // The chosen cell is the one that the Tab key reaches; what it says is in the panel below.
  let chosen = rows[0].cells[1];
  const choose = (cell) => {
    chosen.tabIndex = -1;
    chosen.classList.remove("chosen");
    chosen = cell;
    chosen.tabIndex = 0;
    chosen.classList.add("chosen");
  };
  const line = (parts) => {
    const paragraph = document.createElement("p");
    for (const [tag, text] of parts) {
      const part = document.createElement(tag);
      part.textContent = text;
      paragraph.append(part);
    }
    return paragraph;
  };
  const tell = (cell) => {
    const name = cell.parentElement.dataset.function, release = releases[cell.cellIndex - 1];
    const link = cell.querySelector("a");
    const cause = link && document.querySelector(link.getAttribute("href"));
    const reason = cause ? cause.cells[1].textContent : cell.dataset.d || "";
    detail.hidden = false;
    detail.className = cell.classList[0];
    detail.replaceChildren(
      line([["strong", name], ["span", " on "], ["strong", release], ["span", ": "], ["strong", cell.textContent],
            ["span", cell.dataset.n ? ` (${cell.dataset.n})` : ""]]),
    );
    if (reason) detail.append(line([["code", reason]]));
    if (cause) {
      const also = document.createElement("a");
      also.href = link.getAttribute("href");
      also.textContent = `Same reason: ${cause.cells[4].textContent} cells, ${cause.cells[3].textContent}`;
      detail.append(also);
    }
  };

  const step = (cell, key) => {
    const shown = rows.filter((row) => !row.hidden);
    const row = cell.parentElement, at = shown.indexOf(row), column = cell.cellIndex;
    const clamp = (value, most) => Math.max(0, Math.min(value, most));
    if (key === "ArrowLeft" || key === "ArrowRight") {
      return row.cells[1 + clamp(column - 1 + (key === "ArrowRight" ? 1 : -1), releases.length - 1)];
    }
    if (key === "ArrowUp" || key === "ArrowDown") {
      return shown[clamp(at + (key === "ArrowDown" ? 1 : -1), shown.length - 1)].cells[column];
    }
    if (key === "Home") return row.cells[1];
    return key === "End" ? row.cells[releases.length] : null;
  };

  // The column of names keeps its width when rows go, and the latest releases are what one sees first.
  const corner = table.tHead.rows[0].cells[0], scroll = table.closest(".scroll");
  corner.style.minWidth = `${corner.offsetWidth}px`;
  scroll.scrollLeft = scroll.scrollWidth;

  table.setAttribute("role", "grid");
  scroll.removeAttribute("tabindex");
  for (const link of table.querySelectorAll("td a")) link.tabIndex = -1;
  for (const row of rows) for (const cell of cellsOf(row)) cell.tabIndex = -1;
  choose(chosen);
  chosen.classList.remove("chosen");
  table.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("td");
    if (cell) tell(cell);
  });
  table.addEventListener("mouseleave", () => chosen.classList.contains("chosen") && tell(chosen));
  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td");
    if (cell) { choose(cell); tell(cell); }
  });
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (cell) { event.preventDefault(); cell.focus(); }
  });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    const next = step(cell, event.key);
    if (next) { event.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
    const link = cell.querySelector("a");
    if (event.key === "Enter" && link) {
      location.hash = link.getAttribute("href");
      document.querySelector(link.getAttribute("href")).focus();
    }
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.hidden = false;
  filter();
})();
