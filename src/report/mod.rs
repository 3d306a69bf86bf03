//! A judgement or results as text, Markdown or JSON. Pure.
