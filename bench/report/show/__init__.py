"""How any section is shown: tables, charts, words, the page, Markdown, the README's blocks."""
