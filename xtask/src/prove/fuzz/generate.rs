//! Random inputs: text and JSON that follow a grammar, and valid examples with random changes.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Pieces that have a meaning to some parser.
const TOKENS: [&str; 56] = [
    "null",
    "true",
    "1e400",
    "-0.0",
    "1E-131",
    "123456789012345678901234567890123456789",
    "[",
    "]",
    "{",
    "}",
    "[[[[[[[[[[[[[[[[[",
    "{\"a\":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\uD83D\\uDE00",
    ",",
    ":",
    ";",
    "\t",
    "\r\n",
    "\n\n",
    "\r",
    "=",
    "&",
    "+",
    "%",
    "%00",
    "%2F",
    "%25",
    "%ff",
    "%C3%A9",
    "#",
    "?",
    "//",
    "..",
    "@",
    "<",
    ">",
    "*",
    "W/",
    "-",
    "_",
    "\u{FEFF}",
    "\u{FFFD}",
    "0",
    "-1",
    "9223372036854775808",
    "24:00",
    "T23:59:60Z",
    "+00:00",
    "xn--",
    "--b",
    "\r\n\r\n",
    "Content-Disposition: form-data",
];

/// Characters that parsers treat in a special way: invisible, combining, of changing length under case mapping or NFC.
const CHARACTERS: [char; 32] = [
    '\0',
    ' ',
    '\u{7F}',
    '\u{85}',
    '\u{A0}',
    '\u{AD}',
    'é',
    'ß',
    'İ',
    'ı',
    'ŉ',
    'ǰ',
    'Σ',
    'ς',
    '\u{301}',
    '\u{345}',
    '\u{61C}',
    '\u{1D15E}',
    'ẞ',
    '\u{200B}',
    '\u{200D}',
    '\u{202E}',
    '\u{2028}',
    '\u{2066}',
    '\u{212A}',
    '\u{3000}',
    '한',
    'ﬁ',
    'Ａ',
    '©',
    '\u{E0041}',
    '😀',
];

/// Values that some field of a body or a query accepts, or nearly accepts.
pub(super) const VALUES: [&str; 44] = [
    "",
    " ",
    "Jane Doe",
    "jane@example.com",
    "JANE+x@Bücher.example",
    "https://www.linkedin.com/in/janedoe",
    "linkedin.com/in/jörg",
    "Tech Corp",
    "en-US",
    "es_es",
    "Europe/Madrid",
    "utc",
    "2024-10-06T12:00:00Z",
    "2024-10-06T12:00:00.123456+02:00",
    "2016-12-31T23:59:60Z",
    "0001-01-01T00:00:00Z",
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "550E8400-E29B-41D4-A716-446655440000",
    "all",
    "any",
    "active",
    "draft",
    "pending",
    "in_progress",
    "completed",
    "human_review",
    "auto",
    "outbound",
    "inbound",
    "pdf",
    "abort",
    "skip",
    "true",
    "false",
    "0",
    "1",
    "1000",
    "1001",
    "-1",
    "500.0",
    "09:30",
    "18:00",
    "https://example.com/a?b=c",
    "read",
];

/// One of several items.
pub(super) fn pick<'a, T: ?Sized>(rng: &mut Rng, items: &[&'a T]) -> &'a T {
    items[rng.usize(..items.len())]
}

/// `true` once in `n` calls.
pub(super) fn once_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

/// Text of up to `max` characters, most of them ASCII.
pub(super) fn text(rng: &mut Rng, max: usize) -> String {
    let length = rng.usize(..=max);
    (0..length).map(|_| character(rng)).collect()
}

fn character(rng: &mut Rng) -> char {
    match rng.u32(..8) {
        0 => rng.char(..),
        1 => CHARACTERS[rng.usize(..CHARACTERS.len())],
        2..5 => rng.char('!'..='~'),
        _ => rng.alphanumeric(),
    }
}

/// Changes an input a few times at random places. Half of the inputs stay as they are.
pub(super) fn mutate(rng: &mut Rng, mut input: Vec<u8>) -> Vec<u8> {
    if rng.bool() {
        return input;
    }
    for _ in 0..rng.u32(1..=4) {
        let start = rng.usize(..=input.len());
        let end = (start + rng.usize(..=8)).min(input.len());
        match rng.u32(..9) {
            // One bit, one byte.
            0 if start < input.len() => input[start] ^= 1 << rng.u32(..8),
            1 if start < input.len() => input[start] = rng.u8(..),
            // A removed part, a repeated part, and the beginning alone.
            2 => drop(input.drain(start..end)),
            3 => {
                let repeated = input[start..end].repeat(rng.usize(1..=40));
                input.splice(start..start, repeated);
            }
            4 => input.truncate(start),
            // Inserted and replaced text.
            5 => drop(input.splice(start..end, pick(rng, &TOKENS).bytes())),
            6 => drop(input.splice(start..start, pick(rng, &TOKENS).bytes())),
            7 => drop(input.splice(start..start, pick(rng, &VALUES).bytes())),
            _ => {
                let inserted = character(rng).to_string();
                input.splice(start..start, inserted.into_bytes());
            }
        }
    }
    input
}

/// An input that is one of these examples, changed.
pub(super) fn example(rng: &mut Rng, examples: &[&str]) -> Vec<u8> {
    let example = pick(rng, examples).as_bytes().to_vec();
    mutate(rng, example)
}

/// Any JSON value.
pub(super) fn json(rng: &mut Rng, levels: u32) -> Value {
    match rng.u32(..if levels == 0 { 8 } else { 10 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(-2..1_002)),
        3 => json!(rng.i64(..)),
        4 => json!(rng.f64() * 1e3),
        5 => json!(text(rng, 12)),
        6 | 7 => json!(pick(rng, &VALUES)),
        8 => (0..rng.u32(..4)).map(|_| json(rng, levels - 1)).collect(),
        _ => {
            let members = (0..rng.u32(..4)).map(|_| (text(rng, 4), json(rng, levels - 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// Changes one value in a JSON document. `members` are the names that its objects may have, with values of each.
pub(super) fn change(rng: &mut Rng, value: &mut Value, members: &[(String, Vec<Value>)]) {
    match value {
        Value::Object(object) if !members.is_empty() && rng.bool() => {
            let (name, values) = &members[rng.usize(..members.len())];
            if once_in(rng, 4) {
                object.remove(name);
            } else {
                let known = if values.is_empty() || rng.bool() { None } else { values.get(rng.usize(..values.len())) };
                let known = known.cloned();
                object.insert(name.clone(), known.unwrap_or_else(|| json(rng, 3)));
            }
        }
        Value::Object(object) if !object.is_empty() => {
            let index = rng.usize(..object.len());
            if let Some(inner) = object.values_mut().nth(index) {
                change(rng, inner, members);
            }
        }
        Value::Array(items) if !items.is_empty() && !once_in(rng, 4) => {
            let index = rng.usize(..items.len());
            if once_in(rng, 4) {
                let repeated = items[index].clone();
                items.extend(vec![repeated; rng.usize(1..4)]);
            } else {
                change(rng, &mut items[index], members);
            }
        }
        value => *value = json(rng, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutation_leaves_half_of_the_inputs_as_they_are() {
        let mut rng = Rng::with_seed(1);
        let mut unchanged = 0;
        for _ in 0..1_000 {
            if mutate(&mut rng, b"jane@example.com".to_vec()) == b"jane@example.com" {
                unchanged += 1;
            }
        }
        assert!((400..600).contains(&unchanged), "{unchanged}");
    }

    #[test]
    fn a_change_adds_removes_and_replaces_members() {
        let mut rng = Rng::with_seed(1);
        let members = [("email".to_owned(), vec![json!("jane@example.com")])];
        let changed: Vec<Value> = (0..200)
            .map(|_| {
                let mut value = json!({"full_name": "Jane", "email": null});
                change(&mut rng, &mut value, &members);
                value
            })
            .collect();
        assert!(changed.contains(&json!({"full_name": "Jane", "email": "jane@example.com"})));
        assert!(changed.contains(&json!({"full_name": "Jane"})));
        assert!(changed.iter().any(|value| value["full_name"] != "Jane"));
    }
}
