//! The pages that need no credential.

use shared::Page;

use crate::client::get;

#[test]
fn a_page_is_served_without_a_credential_and_not_sent_twice() {
    for page in Page::ALL {
        for slash in ["", "/"] {
            let request = get(&format!("{}{slash}", page.path())).anonymous();
            let response = request.send().expect(200);
            assert_eq!(response.header("cache-control"), "public, max-age=300", "{page:?}");
            assert!(response.header("content-security-policy").starts_with("default-src 'none'"), "{page:?}");

            let again = request.header("if-none-match", response.header("etag")).send().expect(304);
            assert_eq!((again.text.as_str(), again.header("etag")), ("", response.header("etag")), "{page:?}");
        }
    }
}

#[test]
fn the_description_of_the_api_is_the_committed_one() {
    let response = get(Page::GetOpenapi.path()).anonymous().send().expect(200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.text, include_str!("../../openapi.json"));
}
