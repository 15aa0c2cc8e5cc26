// What the console adds to pages that work without it: keys, the zone of this device, and a word when the line is cut.
"use strict";
(() => {
  const ROW = "[data-row], tr[data-consignment]";
  const name = (row) => row.dataset.row || row.dataset.consignment;
  const rows = () => [...document.querySelectorAll(ROW)].filter((row) => row.offsetParent !== null);
  const link = (row) => row.querySelector("a.main, a");
  const rowOf = (element) => element && element.closest ? element.closest(ROW) : null;

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(rowOf(document.activeElement) || lastRow());
    const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
    link(next).focus();
    next.scrollIntoView({ block: "nearest" });
  }

  // A swap takes the focused row away; the row with the same name, or the one that took its place, is where one was.
  let last = { name: "", index: -1 };
  document.addEventListener("focusin", (event) => {
    const row = rowOf(event.target);
    if (row) last = { name: name(row), index: rows().indexOf(row) };
  });
  const lastRow = () => rows().find((row) => last.name && name(row) === last.name) || rows()[last.index];
  document.addEventListener("htmx:afterSettle", () => {
    if (document.activeElement === document.body && last.index >= 0) {
      const row = lastRow();
      if (row) link(row).focus({ preventScroll: true });
    }
  });

  const click = (element) => element && (element.click(), true);
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    a: () => {
      const row = rowOf(document.activeElement);
      return click((row || document.getElementById("main")).querySelector("[data-act='acknowledge']"));
    },
    u: () => click(document.querySelector("[data-act='undo']")),
    n: () => click(document.querySelector(".news a, .news button")),
    "/": () => [document.querySelector("[data-key='/']"), document.getElementById("find")].find((field) => field?.checkVisibility())?.focus(),
    "?": () => document.getElementById("keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea");
    if (event.key === "Escape" && typing) return event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const act = Object.hasOwn(keys, event.key) && keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // On a phone the pages stand in one row that is wider than it: show the one that this is.
  const here = document.querySelector(".pages [aria-current]");
  if (here) here.closest("ul").scrollLeft = here.offsetLeft + (here.offsetWidth - here.closest("ul").clientWidth) / 2;

  // Offer the zone of this device among the others.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const select of document.querySelectorAll("select[data-zones]")) {
    if (zone && ![...select.options].some((one) => one.value === zone)) select.add(new Option(`${zone} (this device)`, zone));
  }
  for (const hint of document.querySelectorAll(".keys-hint")) {
    hint.addEventListener("click", () => document.getElementById("keys").showModal());
  }

  // Forms that filter ask as soon as a choice is made; without scripts the button does.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.matches("form.filters") && event.target.matches("select, input[type=checkbox], input[type=date]")) form.requestSubmit();
  });

  // The as-of slider: it stands at the words as they came in, at its right end at now. Without scripts the field beside it serves.
  for (const slider of document.querySelectorAll("input[data-stops]")) {
    const stops = slider.dataset.stops.split(" ");
    const { form, nextElementSibling: label } = slider;
    const stop = () => stops[slider.value - 1];
    const tell = () => {
      label.textContent = `${slider.value} of ${stops.length} words known` + (slider.value > 0 && slider.value < stops.length ? `: ${stop().replace("T", " ")}` : "");
      slider.setAttribute("aria-valuetext", label.textContent);
    };
    slider.hidden = false;
    slider.addEventListener("input", tell);
    slider.addEventListener("change", () => {
      if (slider.value == stops.length) return window.location.assign(window.location.pathname + "#journey");
      const first = new Date(`${stops[0]}Z`);
      form.elements.at.value = slider.value == 0 ? new Date(first - 12e4).toISOString().slice(0, 16) : stop();
      form.requestSubmit();
    });
  }

  // Say so when nothing new can come: what stands on the page may be old.
  function told(state, sentence) {
    const line = document.getElementById("freshness");
    if (!line) return;
    line.dataset.state = state;
    line.textContent = sentence;
  }
  document.addEventListener("htmx:sseError", () => {
    const at = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    told("behind", `Not connected since ${at}: this page does not change by itself.`);
  });
  document.addEventListener("htmx:sendError", () => told("behind", "The console did not answer; try again."));
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) window.location.reload();
    else told("behind", `That did not work (${status}); nothing was changed.`);
  });

  // Charts: <div class="chart" data-chart='{"x": [...], "label", "values": [...], "high", "unit"}'> beside a table with the same
  // figures; those of one table have one scale. The table is what counts; the picture is drawn where uPlot is there.
  function draw(holder) {
    if (typeof uPlot === "undefined" || holder.dataset.drawn) return;
    holder.dataset.drawn = "yes";
    const told = JSON.parse(holder.dataset.chart);
    const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const probe = holder.appendChild(document.createElement("span"));
    const colour = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const tone = colour("--link");
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule") }, font: `12px ${ink("font-family") || "system-ui"}` };
    probe.remove();
    const size = () => ({ width: Math.max(holder.clientWidth, 200), height: 128 });
    const chart = new uPlot(
      {
        ...size(),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), holder.dataset.zone || "UTC"),
        axes: [axis, { ...axis, size: 56, values: (_, values) => values.map((value) => `${value.toLocaleString()}${told.unit ? " " + told.unit : ""}`) }],
        legend: { show: false },
        scales: { y: { range: (_, low) => [Math.min(0, low ?? 0), told.high * 1.05 || 1] } },
        series: [{}, { label: told.label, stroke: tone, width: 1.5, points: { show: told.x.length < 40, size: 4 } }],
      },
      [told.x, told.values],
      holder,
    );
    new ResizeObserver(() => chart.setSize(size())).observe(holder);
  }
  const charts = () => document.querySelectorAll("[data-chart]").forEach(draw);
  window.addEventListener("load", charts);
  document.addEventListener("htmx:afterSettle", charts);
})();
