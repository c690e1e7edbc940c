"""How a report looks: on a light and on a dark screen, and on paper."""

from __future__ import annotations

# Blue and vermilion as in the pictures.
STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --box: #f4f5f7; --line: #d5d8dd;
  --ink: #1b1f24; --soft: #57606a; --accent: #0072b2; --warn: #b34700;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #111418; --box: #1b2027; --line: #39414b;
    --ink: #e6e9ed; --soft: #a3adb8; --accent: #58b4e8; --warn: #f59a52;
  }
}
img.dark { display: none; }
@media screen and (prefers-color-scheme: dark) {
  img.light { display: none; }
  img.dark { display: inline; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 60rem;
  background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 {
  font-size: 1.3rem; margin: 2.8rem 0 .8rem; padding-bottom: .3rem;
  border-bottom: 2px solid var(--line);
}
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
h1, h2, h3, p, dd, td, th, caption { overflow-wrap: anywhere; }
p { margin: .6rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); }
.verdict {
  background: var(--box); border-left: 4px solid var(--accent);
  padding: .8rem 1rem; margin: 1rem 0; max-width: none;
}
.warn { border-left-color: var(--warn); }
dl { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
dl > div {
  flex: 1 1 15rem; background: var(--box); border-radius: 6px; padding: .7rem .9rem;
}
dt { color: var(--soft); font-size: .82rem; }
dd { margin: .15rem 0 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td {
  text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line);
}
tbody th { font-weight: 600; min-width: 8rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; }
pre {
  background: var(--box); border: 1px solid var(--line); border-radius: 6px;
  padding: .8rem; max-height: 24rem; overflow: auto; font-size: .8rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.sign td { height: 2.6rem; }
@page { margin: 16mm; }
@media print {
  :root { color-scheme: light; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  figure, tr, dl > div, .verdict { break-inside: avoid; }
  figure img { max-height: 235mm; }
  thead { display: table-header-group; }
  pre { max-height: none; overflow: visible; }
  .wide { overflow: visible; }
}
"""
