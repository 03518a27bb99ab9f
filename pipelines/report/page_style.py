"""The style of every page: light and dark, phone, desktop and print, no fonts."""

__all__ = ["FILM_FRAMES", "STYLE"]

FILM_FRAMES = 16
"""The frames of a film: a strip that plays under the mouse or with the focus."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #575e66; --paper: #fff;
  --raised: #f4f6f8; --line: #d3d8dd; --bar: #2f6fab; --second: #a85b00;
  --bad: #a3341f; --good: #1d6b3a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a3abb3;
  --paper: #16181b; --raised: #1f2327; --line: #3a4047; --bar: #6aa9e0;
  --second: #e0a458; --bad: #f0957f; --good: #79c596; } }
* { box-sizing: border-box }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .2rem;
  border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere }
a { color: var(--bar) } .soft, figcaption, caption { color: var(--soft) }
.bad { color: var(--bad) } .good { color: var(--good) }
.facts { display: grid; gap: .6rem; margin: 1rem 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)) }
.facts div { background: var(--raised); border-radius: 6px; padding: .5rem .8rem }
.facts dt { color: var(--soft); font-size: .87rem }
.facts dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto; margin: .6rem 0 } table { border-collapse: collapse }
.wide:focus-visible, .reel:focus-visible, summary:focus-visible {
  outline: 2px solid var(--bar) }
caption { text-align: left; padding-bottom: .2rem; white-space: nowrap }
th, td { padding: .2rem 1.2rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) }
th { white-space: nowrap; font-weight: 600 } td { white-space: nowrap }
td.text { white-space: normal; min-width: 16rem; max-width: 44rem;
  overflow-wrap: anywhere }
.beside { display: flex; flex-wrap: wrap; gap: 0 3rem }
.number { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1rem 0 } summary { cursor: pointer; color: var(--bar) }
.chart { display: grid; grid-template-columns: auto 1fr; gap: 0 .5rem;
  padding-top: .7rem }
.chart .y { display: flex; flex-direction: column; justify-content: space-between;
  height: 10rem; margin: -.7rem 0; height: 11.4rem; text-align: right }
.chart svg { width: 100%; height: 10rem; display: block;
  border-left: 1px solid var(--soft); border-bottom: 1px solid var(--soft) }
.chart .x { grid-column: 2; display: flex; justify-content: space-between }
.chart .y, .chart .x { color: var(--soft); font-size: .8rem; line-height: 1.4rem;
  font-variant-numeric: tabular-nums; white-space: nowrap }
svg .bar { fill: var(--bar) } svg .grid { stroke: var(--line) }
svg .line { fill: none; stroke: var(--bar); stroke-width: 2 }
svg .second { stroke: var(--second) }
svg .dot { stroke-width: 8; stroke-linecap: round }
.key span { margin-right: 1.2rem } .key i { display: inline-block; width: 1.4rem;
  height: .25rem; vertical-align: middle; margin-right: .4rem; background: var(--bar) }
.key i.second { background: var(--second) }
.sheet { display: grid; gap: 1rem 1.4rem; grid-template-columns: repeat(auto-fill,
  minmax(min(32rem, 100%), 1fr)) } .sheet figure { margin: 0 }
.sheet figcaption, .sheet p { overflow-wrap: anywhere }
.strip { display: block; width: 100%; height: auto; border-radius: 4px }
.charts { display: grid; gap: 0 2.5rem; grid-template-columns: repeat(auto-fit,
  minmax(min(26rem, 100%), 1fr)) }
.films { display: grid; gap: 1rem 1.4rem; grid-template-columns: repeat(auto-fill,
  minmax(min(14rem, 100%), 1fr)) } .films figure { margin: 0 }
.films figcaption { overflow-wrap: anywhere; line-height: 1.35; margin-top: .3rem }
.film { overflow: hidden; border-radius: 4px }
.film img { display: block; width: calc(100% * FRAMES); max-width: none; height: auto;
  transform: translateX(-50%) }
.film:focus-visible { outline: 3px solid var(--bar); outline-offset: 1px }
@keyframes film { from { transform: none } to { transform: translateX(-100%) } }
@media (prefers-reduced-motion: no-preference) { .film:hover img, .film:focus img {
  animation: film 2.4s steps(FRAMES) infinite } }
.share { display: block; height: .35rem; width: 100%; margin: .2rem 0 }
.share rect { fill: var(--bar) } .share .rest { fill: var(--line) }
@media (max-width: 30rem) { body { margin-top: 1rem } th, td { padding-right: .8rem }
  td.text { min-width: 10rem } caption { white-space: normal }
  .reel { overflow-x: auto } .strip { width: 250% } }
@media print { body { max-width: none; font-size: 11px } .wide { overflow: visible }
  figure, tr { break-inside: avoid } h2, .soft { break-after: avoid }
  details::details-content { content-visibility: visible } }
""".replace("FRAMES", str(FILM_FRAMES))
