"""How the page of `nitrosim inspect --html` looks: one style sheet, nothing loaded.

Two colour schemes by the reader's preference, every text at a contrast of 4.5 or more; fonts of
the reader's system; one column that fits a phone; on paper black on white,
with long values unfolded where the browser can do that, and without the lists of steps.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b2129; --soft: #566070; --line: #dde1e8;
  --good: #10663a; --good-tint: #e7f5ec; --bad: #ab1f1f; --bad-tint: #fdecec;
  --odd: #7d4a00; --odd-tint: #fdf3df; --code: #f1f3f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --card: #1a1e25; --text: #e5e8ed; --soft: #a0a9b7; --line: #303742;
    --good: #74d69b; --good-tint: #14291d; --bad: #ff9b93; --bad-tint: #331a1a;
    --odd: #f2c371; --odd-tint: #30260f; --code: #232932;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main, footer { max-width: 58rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1rem; font-weight: 600; color: var(--soft); margin: 2rem 0 .75rem; }
h1 bdi { font-weight: 400; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { margin: 0 0 .5rem; overflow-wrap: anywhere; }
section, .banner {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.25rem; margin: 0 0 1rem;
}
.banner { border-left: .4rem solid; }
.banner strong { display: block; font-size: 1.5rem; line-height: 1.25; letter-spacing: .01em; }
.banner p:last-child, section > :last-child { margin-bottom: 0; }
.good { border-left-color: var(--good); background: var(--good-tint); }
.bad { border-left-color: var(--bad); background: var(--bad-tint); }
.odd { border-left-color: var(--odd); background: var(--odd-tint); }
.good strong, .says-good { color: var(--good); }
.bad strong, .says-bad { color: var(--bad); }
.odd strong, .says-odd { color: var(--odd); }
.says-good, .says-bad, .says-odd { font-weight: 600; }
.soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td {
  text-align: left; vertical-align: top; padding: .45rem 0; border-top: 1px solid var(--line);
}
thead th { border: 0; padding-top: 0; color: var(--soft); font-weight: 400; font-size: .875rem; }
tbody th { font-weight: 600; padding-right: 1.25rem; width: 9.5rem; }
tbody th span { display: block; font-weight: 400; font-size: .875rem; color: var(--soft); }
code, pre {
  font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere;
}
bdi, pre, code { unicode-bidi: isolate; direction: ltr; }
pre {
  margin: .35rem 0; padding: .6rem .75rem; background: var(--code); border-radius: .35rem;
  white-space: pre-wrap; max-height: 24rem; overflow-y: auto;
}
#pcrs code { font-size: .75rem; }
h3 { font-size: .9375rem; margin: 1rem 0 .1rem; }
h2 + h3 { margin-top: 0; }
ol.tree { list-style: none; margin: 0; padding: 0; }
ol.tree ol.tree { margin-left: .45rem; padding-left: 1.05rem; border-left: 1px solid var(--soft); }
ol.tree li > div { padding: .3rem 0; overflow-wrap: anywhere; }
ol.tree ol.tree > li { position: relative; }
ol.tree ol.tree > li::before {
  content: ""; position: absolute; left: -1.05rem; top: 1.05rem; width: .75rem;
  border-top: 1px solid var(--soft);
}
ol.tree p { margin: 0; font-size: .875rem; }
details { margin-top: .35rem; }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
ol.steps { margin: .5rem 0 0; padding-left: 2.2rem; font-size: .875rem; }
ol.steps li { overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .875rem; padding-bottom: 2rem; overflow-wrap: anywhere; }
@media (max-width: 34rem) {
  dl { column-gap: .9rem; }
  section, .banner { padding: .9rem .9rem; }
  tbody th { width: 6.5rem; padding-right: .75rem; }
  .banner strong { font-size: 1.3rem; }
}
@page { margin: 1.5cm; }
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; --code: #fff;
    --good: #0b4d2a; --good-tint: #fff; --bad: #8a1414; --bad-tint: #fff;
    --odd: #5f3800; --odd-tint: #fff;
  }
  html { font-size: 9.5pt; }
  h1 { margin-top: 0; }
  th, td { padding: .25rem 0; }
  section, .banner { border-radius: 0; padding: .5rem .75rem; }
  pre { max-height: none; overflow: visible; border: 1px solid var(--line); }
  tr, ol.tree li > div, .banner { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details.value::details-content { content-visibility: visible; height: auto; }
  details.value summary, details.steps { display: none; }
}
"""
