"""What `nitrosim inspect` knows about a document, and how it tells it.

One `Report` (`report`) is built once (`build`, reading strictly with `content` and, where a
document is damaged, as far as it goes with `salvage`) and rendered by `as_text`, `as_json` or
`as_html`. What the renderers say alike is in `words`, `times` and `values`.
"""
