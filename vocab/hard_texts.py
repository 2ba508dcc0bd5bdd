"""Texts that broke some encoder or split before."""

from __future__ import annotations

HARD_TEXTS = [
    "",
    " ",
    "\n",
    "\x00",
    "\x00\x01\x7f\x80\x85\xa0",
    "\ufeffbyte order mark",
    "\ufffd\ufffe\uffff\U0010ffff",
    "\r\n\r\n \r\r\n\t\n  ",
    "   before and after   ",
    "line \n\n\n  indented\n\t\ttabs\r\nmixed \t \n",
    "'s 'S 'ſ 'LL 'Ll 'RE 'Ve ''s '' ' 't'm'd x'sy X'LLy",
    "don't DON'T we'll WE'LLs I'ſ '\u017f'\u017f",
    "123456789 1 12 123 1234 ½½½½ 一二三 ١٢٣٤٥ x1y22z333 $1,234.56",
    "camelCaseHTTPServer ǅabc ABCdef ʰABC AʰBʰ a\u0301B\u0301 \u0301\u0301",
    "path/to//file/// http://x.y/z?q=1&r=%20#/ \n/// //\n\n//",
    "1\u0301 \u200b\u200d a\u200db \U0001f469\u200d\U0001f4bb",
    "\u3000\u3000全角\u3000\u2003em\u2028line\u2029para\u0085next",
    "_" * 300 + "=" * 200 + "\n" * 50,
    "ab" * 500 + " " + "abc" * 333,
    "a b\u00a0c\u1680d\u180ee\u2000f\u200bg\u202fh\u205fi\u3000j",
    "\U00010400\U00010428 \U0001d7d8\U0001d7d9 \U00020000\U0002a6d6 \U000e0001\U0010fffd",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺 ⟦x⟧ → ∀∂∈ℝ∧∪≡∞ ﷽",
    *(" " * n + "x" + "\t" * n for n in range(1, 40)),
]
