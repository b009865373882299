//! The scripts and styles of an HTML document, and the Content-Security-Policy that allows them alone.

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use sha2::{Digest, Sha256};

use crate::Error;

/// The attributes that make a document load something, beside `href` of `link`.
const SOURCES: [&str; 6] = ["action", "data", "formaction", "poster", "src", "srcset"];

/// The scripts and styles that are elements of a document.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct InlineCode {
    /// The texts of the `script` elements.
    pub scripts: Vec<String>,
    /// The texts of the `style` elements.
    pub styles: Vec<String>,
}

impl InlineCode {
    /// Reads a document as browsers do.
    ///
    /// # Errors
    /// An element that loads something, and code in an attribute: the policy blocks both.
    pub fn of(document: &str) -> Result<Self, Error> {
        let mut code = Self::default();
        let mut emitter = DefaultEmitter::default();
        // Inside of `script` and `style`, tags are text.
        emitter.naively_switch_states(true);
        let mut inside = None;
        for token in Tokenizer::new_with_emitter(document, emitter) {
            let token = token.unwrap_or_else(|never: Infallible| match never {});
            match (token, &mut inside) {
                (Token::StartTag(tag), _) => {
                    check(&tag)?;
                    inside = match tag.name.as_slice() {
                        b"script" => Some((String::new(), true)),
                        b"style" => Some((String::new(), false)),
                        _ => None,
                    };
                }
                (Token::String(text), Some((code, _))) => code.push_str(&String::from_utf8_lossy(&text)),
                (Token::EndTag(_), _) => match inside.take() {
                    Some((script, true)) => code.scripts.push(script),
                    Some((style, false)) => code.styles.push(style),
                    None => {}
                },
                _ => {}
            }
        }
        match inside {
            Some(_) => Err(Error::NotSelfContained("a script or style does not end".to_owned())),
            None => Ok(code),
        }
    }

    /// The policy (W3C, "Content Security Policy Level 3"): the code of the document, images in it, and requests to this API.
    pub fn policy(&self) -> String {
        let (scripts, styles) = (sources(&self.scripts), sources(&self.styles));
        format!(
            "default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    }
}

/// The hashes of code, in the form of a directive's value.
fn sources(code: &[String]) -> String {
    if code.is_empty() {
        return "'none'".to_owned();
    }
    let hash = |code: &String| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(code)));
    code.iter().map(hash).collect::<Vec<_>>().join(" ")
}

/// Refuses what the policy would block.
fn check(tag: &StartTag<()>) -> Result<(), Error> {
    let name = String::from_utf8_lossy(&tag.name);
    for (attribute, value) in &tag.attributes {
        let (attribute, value) = (String::from_utf8_lossy(attribute), String::from_utf8_lossy(value));
        let is_code = attribute == "style" || attribute.starts_with("on");
        let loads = SOURCES.contains(&&*attribute) || (name == "link" && attribute == "href");
        if is_code {
            return Err(Error::NotSelfContained(format!("move {attribute}=\"{value}\" of <{name}> into an element")));
        }
        if loads && !value.starts_with("data:") {
            return Err(Error::NotSelfContained(format!("<{name}> loads {value}: put its content into the document")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_are_found_as_browsers_find_them() {
        let document = "<!doctype html><title>a < b</title><!-- <script>no()</script> --><STYLE>a{b:'<c>'}</STYLE>\
            <p>text</p><script>if (a < b && '<style>') {}\r\n</script><script type=module>\nx()</script>";

        let code = InlineCode::of(document).unwrap();

        assert_eq!(code.scripts, ["if (a < b && '<style>') {}\n", "\nx()"]);
        assert_eq!(code.styles, ["a{b:'<c>'}"]);
    }

    #[test]
    fn the_policy_allows_the_code_of_the_document_by_its_hashes() {
        let code = InlineCode::of("<script>alert(1)</script><script>x</script>").unwrap();
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        let expected = "default-src 'none'; script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=' \
            'sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='; style-src 'none'; img-src data:; \
            connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        assert_eq!(code.policy(), expected);
    }

    #[test]
    fn what_the_policy_would_block_is_refused() {
        for (document, reason) in [
            ("<script src=x.js></script>", "<script> loads x.js: put its content into the document"),
            ("<link rel=stylesheet href='/x.css'>", "<link> loads /x.css: put its content into the document"),
            ("<p style='a:b'>", "move style=\"a:b\" of <p> into an element"),
            ("<p onclick='a()'>", "move onclick=\"a()\" of <p> into an element"),
            ("<script>a()", "a script or style does not end"),
        ] {
            let error = InlineCode::of(document).unwrap_err().to_string();
            assert_eq!(error, format!("the page is not self-contained: {reason}"), "{document}");
        }
        for document in ["<link rel=icon href=data:,>", "<a href='/docs'>docs</a>"] {
            assert_eq!(InlineCode::of(document).unwrap(), InlineCode::default(), "{document}");
        }
    }
}
