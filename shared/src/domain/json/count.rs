//! The number of values in JSON text, found before anything is built from it.

/// Counts the values of all levels of well-formed JSON, in one pass and without allocating.
///
/// A parsed value takes some 100 bytes, its text as little as two. So the length of a text says little about the memory that
/// parsing takes, while this number bounds it. It is an upper bound: an empty array or object counts twice.
///
/// ```
/// # use shared::domain::json::count_values;
/// assert_eq!(count_values(r#"{"a": [1, 2], "b": "[,]"}"#), 5);
/// ```
pub fn count_values(json: &str) -> usize {
    let (mut count, mut is_in_string, mut is_escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            // Well-formed JSON has backslashes in strings only.
            b'\\' => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b',' | b'[' | b'{' if !is_in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// `true` if well-formed JSON has more values than this, by [`count_values`]. Short text cannot: each value takes at least one byte.
pub fn has_more_values_than(max: usize, json: &str) -> bool {
    json.len() > max && count_values(json) > max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_more_values_than_a_maximum_only_if_its_values_are_counted() {
        for (max, json, has_more) in
            [(4, "[1,1]", false), (3, "[1,1]", false), (2, "[1,1]", true), (2, "[11111111]", false), (0, "1", true)]
        {
            assert_eq!(has_more_values_than(max, json), has_more, "{json} {max}");
        }
    }

    #[test]
    fn values_of_all_levels_are_counted_and_the_content_of_strings_is_not() {
        for (json, count) in [
            ("1", 1),
            (r#""a,b""#, 1),
            (r#""\",[{""#, 1),
            (r#""\\",""#, 2),
            ("[1]", 2),
            ("[1, 2, 3]", 4),
            (r#"{"a": 1, "b": {"c": null}}"#, 4),
            (r#"{"a,[{": 1}"#, 2),
            (r#"{"a": 1, "a": 1}"#, 3),
            ("[[[[1]]]]", 5),
        ] {
            assert_eq!(count_values(json), count, "{json}");
        }
    }

    #[test]
    fn an_empty_array_or_object_counts_twice() {
        assert_eq!([count_values("[]"), count_values("{}"), count_values("[[], {}]")], [2, 2, 5]);
    }
}
