"use strict";
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const charts = [];
  let style;

  // "$c1/45" is the colour --c1 of the style sheet at 45 % opacity.
  const resolved = (value) => {
    if (typeof value === "string" && value[0] === "$") {
      const [name, percent] = value.slice(1).split("/");
      const colour = style.getPropertyValue(`--${name}`).trim();
      return percent ? colour + Math.round(percent * 2.55).toString(16).padStart(2, "0") : colour;
    }
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one)]));
    }
    return value;
  };

  const scheme = () => {
    style = getComputedStyle(document.documentElement);
    Chart.defaults.color = resolved("$muted");
    Chart.defaults.borderColor = resolved("$rule");
  };

  const common = { animation: false, responsive: true, maintainAspectRatio: false };
  // On a phone the names of rows would take all of the width.
  const wrapped = (name) => innerWidth < 600 ? name.replaceAll("_", "_ ").match(/.{1,18}( |$)|\S+/g).map((line) => line.replaceAll("_ ", "_").trim()) : name;
  const draw = (canvas, config) => {
    if (config.options.indexAxis === "y") config.data.labels = config.data.labels.map(wrapped);
    const options = (of) => ({ ...common, ...of, plugins: { ...of.plugins, legend: {
      display: config.data.datasets.length > 1, labels: { boxWidth: 12, usePointStyle: true }, ...of.plugins?.legend } } });
    const chart = new Chart(canvas, { type: config.type, data: resolved(config.data), options: options(resolved(config.options)) });
    charts.push([chart, config, options]);
    return chart;
  };

  const redraw = () => {
    scheme();
    for (const [chart, config, options] of charts) {
      const fresh = resolved(config.data);
      chart.data.datasets.forEach((dataset, i) => Object.assign(dataset, fresh.datasets[i]));
      chart.options = options(resolved(config.options));
      chart.update("none");
    }
  };

  const text = (name, content, parent) => {
    const made = document.createElement(name);
    made.textContent = content;
    parent?.append(made);
    return made;
  };

  const map = (root) => {
    const of = data[root.dataset.map];
    const found = root.querySelector(".found"), input = root.querySelector("input");
    const members = of.groups.map(() => []);
    of.group.forEach((group, i) => members[group].push(i));
    const at = (i) => ({ x: of.x[i], y: of.y[i], movie: i });
    const label = (i) => of.genres[i] ? `${of.titles[i]} · ${of.genres[i]}` : of.titles[i];
    const config = {
      type: "scatter",
      data: { datasets: [
        { label: "found", data: [], backgroundColor: "$text", pointRadius: 7, pointStyle: "triangle", order: -1 },
        ...of.groups.map((name, group) => ({
          label: name, data: members[group].map(at), backgroundColor: `$c${group + 1}/70`, pointRadius: 3, pointHoverRadius: 6,
        })),
      ] },
      options: {
        scales: { x: { ticks: { display: false } }, y: { ticks: { display: false } } },
        plugins: { tooltip: { callbacks: { label: (item) => label(item.raw.movie) } } },
      },
    };
    config.options.onClick = (event, elements) => {
      if (elements.length) choose(config.data.datasets[elements[0].datasetIndex].data[elements[0].index].movie);
    };
    const chart = draw(root.querySelector("canvas"), config);
    const mark = (movies) => {
      config.data.datasets[0].data = chart.data.datasets[0].data = movies.map(at);
      chart.update("none");
    };
    const list = (parent, movies, after) => {
      const items = document.createElement("ol");
      movies.forEach((movie, i) => {
        const item = text("li", "", items), button = text("button", of.titles[movie], item);
        button.type = "button";
        button.dir = "auto";
        button.addEventListener("click", () => choose(movie));
        text("span", ` ${of.genres[movie]}${after ? `, ${after[i].toFixed(3)}` : ""}`, item).className = "aside";
      });
      parent.append(items);
    };
    const choose = (movie) => {
      const near = of.near[movie] ?? [];
      mark([movie, ...near]);
      found.replaceChildren();
      text("h3", label(movie), found).dir = "auto";
      text("p", near.length ? "Nearest, with their likeness:" : "Its neighbours are not known.", found);
      if (near.length) list(found, near, of.likeness[movie]);
    };
    const search = () => {
      const wanted = input.value.trim().toLowerCase();
      found.replaceChildren();
      if (!wanted) return mark([]);
      const hits = of.titles.flatMap((title, i) => title.toLowerCase().includes(wanted) ? [i] : []);
      mark(hits);
      text("p", `${hits.length} of ${of.titles.length} movies${hits.length > 20 ? ", of which 20 are listed" : ""}:`, found);
      list(found, hits.slice(0, 20));
    };
    input.addEventListener("input", search);
    root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    root.chart = chart;
  };

  scheme();
  document.querySelectorAll("canvas[data-chart]").forEach((canvas) => draw(canvas, data[canvas.dataset.chart]));
  document.querySelectorAll("[data-map]").forEach(map);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const paper = () => { redraw(); charts.forEach(([chart]) => chart.resize()); };
  matchMedia("print").addEventListener("change", paper);
  document.documentElement.dataset.drawn = charts.length;
})();
