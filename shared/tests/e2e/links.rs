//! Base URLs with a path: `Location` and `Link` begin with it, so that following them works.

use serde_json::{Value, json};
use shared::Endpoint;
use shared::testing::TestRequest;

use crate::client::{API, Request, follow, get, jane, new_email, new_import, post};

#[test]
fn location_leads_to_the_new_resource() {
    let name = json!({"name": "Q1-2024", "source": "csv"});
    for (path, body) in [("/contacts/", jane(&new_email())), ("/imports/", name.clone()), ("/campaigns/", name)] {
        let created = post(path, &body).send().expect(201);

        let location = created.header("location");

        assert_eq!(location, format!("{}{path}{}", API.base_path(), created.id()));
        assert_eq!(follow(location).send().expect(200).id(), created.id());
    }
}

#[test]
fn a_link_leads_to_the_next_page() {
    let import_id = new_import();
    let create = || post("/contacts", &jane(&new_email())).header("x-import-id", &import_id).send().expect(201).id();
    let (older, newer) = (create(), create());

    let first = get(&format!("/contacts?import_id={import_id}&limit=1")).send().expect(200);
    let second = first.next_page().unwrap().send().expect(200);

    assert!(first.header("link").starts_with(&format!("<{}/contacts/?", API.base_path())), "{first:?}");
    assert_eq!((&first.json()[0]["id"], &second.json()[0]["id"]), (&json!(newer), &json!(older)));
}

/// Sends an event of the stage `v1` to the function of an endpoint, as the gateway does. Gives the function's response.
fn invoke_at_stage(lambda_url: &str, endpoint: Endpoint, change: impl Fn(TestRequest) -> TestRequest) -> Value {
    let event = TestRequest::example(endpoint).header("x-api-key", &API.org.admin_key).stage("v1");
    let url = format!("{lambda_url}/2015-03-31/functions/{}/invocations", endpoint.name());
    Request::to("POST", url).json(&change(event).into_json()).send().expect(200).json()
}

#[test]
fn functions_serve_a_named_stage() {
    let Some(lambda_url) = &API.lambda_url else {
        println!("left out: the functions are reached through the gateway only, whose stage is part of the base URL");
        return;
    };
    let create = |request: TestRequest| request.json(&jane(&new_email()));
    let created = invoke_at_stage(lambda_url, Endpoint::CreateContact, create);
    assert_eq!(created["statusCode"], 201, "{created}");
    let id = serde_json::from_str::<Value>(created["body"].as_str().unwrap()).unwrap()["id"].clone();
    let location = created["headers"]["location"].as_str().unwrap();
    assert_eq!(location, format!("/v1/contacts/{}", id.as_str().unwrap()));

    let read = invoke_at_stage(lambda_url, Endpoint::GetContact, |request| request.path(location));
    assert_eq!(read["statusCode"], 200, "{read}");

    let list = |query: &str| invoke_at_stage(lambda_url, Endpoint::ListContacts, |request| request.query(query));
    let page = list("limit=1");
    let link = page["headers"]["link"].as_str().unwrap();
    let query = link.strip_prefix("</v1/contacts/?").and_then(|link| link.strip_suffix(r#">; rel="next""#));
    assert_eq!(list(query.unwrap_or_else(|| panic!("{link}")))["statusCode"], 200);

    let of_other_stage = |request: TestRequest| request.path("/v2/contacts");
    assert_eq!(invoke_at_stage(lambda_url, Endpoint::ListContacts, of_other_stage)["statusCode"], 404);
}
