//! Refusals at every endpoint: invalid credentials, a missing scope, and resources of another organization.
//!
//! No test names an endpoint: each visits the route table and sends the example event, on resources of its own.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::Endpoint;
use shared::domain::{Kind, Scope};
use shared::endpoint::{Header, Method};
use shared::testing::TestRequest;
use shared::testing::rules::valid_request::{fill_in, id_names};
use shared::testing::tenant::sign_jwt;
use shared::wire::param::{self, ParamKind};
use uuid::Uuid;

use crate::client::{
    API, Org, PROPAGATION_TIMEOUT, Request, Response, eventually, get, jane, new_contact, new_email, post,
    wait_until_listed,
};

const UNAUTHORIZED: &str = "Invalid or missing authentication credentials";
const FORBIDDEN: &str = "You do not have permission to access this resource";

/// The ids of one resource per kind, by the names of path parameters.
#[derive(Clone)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    /// Creates the resources: a contact of an import, which is a lead of a campaign and has the example's activities, and an
    /// API key.
    fn create(org: &Org) -> Self {
        let created = |request: Request| request.key(&org.admin_key).send().expect(201).id();
        let mut ids = Self(BTreeMap::from([("activity_id".to_owned(), "act_123".to_owned())]));
        ids.set("import_id", created(post("/imports/", &json!({"source": "csv"}))));
        ids.set("campaign_id", created(post("/campaigns/", &json!({"name": "Q1-2024", "status": "paused"}))));
        ids.set("key_id", created(post("/api-keys/", &json!({"name": "a test's", "scopes": ["read"], "live": false}))));
        let contact = post("/contacts/", &jane(&new_email())).header("x-import-id", ids.get("import_id"));
        ids.set("contact_id", created(contact));
        for endpoint in [Endpoint::RecordActivities, Endpoint::LinkImports] {
            request(endpoint, &ids).key(&org.admin_key).send().expect(201);
        }
        let leads = get(&format!("/campaign-leads/?contact_id={}", ids.get("contact_id"))).key(&org.admin_key);
        ids.set("lead_id", leads.send().expect(200).json()[0]["id"].as_str().unwrap().to_owned());
        // The index that finds a lead by its id is eventually consistent.
        let lead = request(Endpoint::GetCampaignLead, &ids).key(&org.admin_key);
        eventually(PROPAGATION_TIMEOUT, || {
            if lead.send().status == 404 { Err("the lead is not found".to_owned()) } else { Ok(()) }
        });
        ids
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("shared/tests/e2e/refusals.rs: create a resource for {name}"))
    }

    fn set(&mut self, name: &str, id: String) {
        self.0.insert(name.to_owned(), id);
    }

    /// The same ids but for one.
    fn with(&self, name: &str, id: &str) -> Self {
        let mut ids = self.clone();
        ids.set(name, id.to_owned());
        ids
    }
}

/// A valid request: the example event on these resources.
fn request(endpoint: Endpoint, ids: &Ids) -> Request {
    let spec = endpoint.spec();
    let path = format!("{}/", endpoint.path_with(|name| ids.get(name)));
    let request = Request::new(spec.method.as_str(), &path);
    if spec.body.is_none() {
        return request;
    }
    let mut body = TestRequest::example(endpoint).body();
    fill_in(&mut body, &ids.0);
    request.json(&body)
}

#[test]
fn invalid_credentials_are_refused_alike() {
    let org = &API.org;
    let ids = Ids::create(org);
    for endpoint in Endpoint::ALL {
        let request = request(*endpoint, &ids);
        for (name, request) in [
            ("no credentials", request.clone().anonymous()),
            ("an empty key", request.clone().key("")),
            ("an unknown key", request.clone().key(&format!("sk_live_{}", Uuid::new_v4().simple()))),
            ("a key without the prefix", request.clone().key("1234567890abcdef")),
            ("a revoked key", request.clone().key(&org.revoked_key)),
            ("an expired token", request.clone().bearer(&org.expired_jwt)),
            ("a token without its signature", request.clone().bearer(org.jwt.rsplit_once('.').unwrap().0)),
            ("another scheme", request.clone().anonymous().header("authorization", &format!("Basic {}", org.jwt))),
            ("an unknown key beside a valid token", request.clone().bearer(&org.jwt).key("sk_live_unknown")),
        ] {
            println!("{endpoint:?}: {name}");
            let response = request.send();
            response.expect_error(401, UNAUTHORIZED);
            assert!(response.header("www-authenticate").starts_with("Bearer "), "{response:?}");
        }
    }
}

#[test]
fn a_read_only_key_may_read_and_nothing_else() {
    let ids = Ids::create(&API.org);
    for endpoint in Endpoint::ALL {
        let response = request(*endpoint, &ids).key(&API.org.read_key).send();
        match endpoint.spec().scope {
            Scope::Read => assert_eq!(response.status, 200, "{response:?}"),
            Scope::Write | Scope::Admin => response.expect_error(403, FORBIDDEN),
        }
    }
    // Refused deletes have deleted nothing.
    for (endpoint, response) in read_all(&ids) {
        assert_eq!(response.status, 200, "{endpoint:?}: {response:?}");
    }
}

/// The responses of the endpoints that read one resource.
fn read_all(ids: &Ids) -> Vec<(Endpoint, Response)> {
    let reads_one = |endpoint: &Endpoint| endpoint.spec().method == Method::Get && endpoint.spec().path.contains('{');
    let endpoints = Endpoint::ALL.iter().copied().filter(reads_one);
    endpoints.map(|endpoint| (endpoint, request(endpoint, ids).send())).collect()
}

#[test]
fn a_token_is_as_good_as_a_key() {
    let contact_id = new_contact();
    let response = get(&format!("/contacts/{contact_id}")).bearer(&API.org.jwt).send().expect(200);
    assert_eq!(response.json()["org_id"], json!(API.org.org_id));
    post("/contacts/", &jane(&new_email())).bearer(&API.org.jwt).send().expect(201);
}

#[test]
fn a_token_is_accepted_if_the_current_or_the_previous_secret_has_signed_it() {
    let org = &API.org;
    let in_an_hour = (Utc::now() + TimeDelta::hours(1)).timestamp();
    let claims = json!({"sub": "user", "org_id": org.org_id, "exp": in_an_hour});
    let with = |token: &str| get("/companies/").bearer(token).send();

    with(&org.jwt).expect(200);
    if !org.previous_jwt.is_empty() {
        with(&org.previous_jwt).expect(200);
    }
    with(&sign_jwt("a secret that the API does not have", &claims)).expect_error(401, UNAUTHORIZED);
}

#[test]
fn a_resource_of_another_organization_does_not_exist() {
    let (ours, theirs) = (Ids::create(&API.org), Ids::create(&API.other));
    let before = read_all(&ours);
    for endpoint in Endpoint::ALL {
        unknown_path_ids_are_not_found(*endpoint, &ours, &theirs);
        unknown_body_ids_are_not_found(*endpoint, &ours, &theirs);
        unknown_imports_are_not_found(*endpoint, &ours, &theirs);
        unknown_filters_find_nothing(*endpoint, &ours, &theirs);
        lists_have_no_foreign_rows(*endpoint, &ours, &theirs);
    }
    for ((endpoint, before), (_, after)) in before.iter().zip(read_all(&ours)) {
        assert_eq!((after.status, &after.text), (200, &before.text), "{endpoint:?}: the resource is unchanged");
    }
    assert_eq!(wait_until_listed(ours.get("key_id"))["revoked_at"], json!(null));
}

/// Sends a request of the other organization with our id and with an id of no resource. Both get the same response.
#[track_caller]
fn same_as_missing(endpoint: Endpoint, our_id: &str, request: impl Fn(&str) -> Request) -> Response {
    let missing_id = Uuid::now_v7().to_string();
    let [foreign, missing] = [our_id, &missing_id].map(|id| request(id).key(&API.other.admin_key).send());
    assert_eq!(
        (foreign.status, &foreign.text, foreign.header("etag")),
        (missing.status, &missing.text, missing.header("etag")),
        "{endpoint:?}"
    );
    foreign
}

/// The error about an unknown id of this name.
fn not_found(name: &str) -> String {
    format!("{} not found", Kind::of_path_id(name).unwrap().name())
}

fn unknown_path_ids_are_not_found(endpoint: Endpoint, ours: &Ids, theirs: &Ids) {
    // A second id names a part of the resource that the first one names.
    let Some(name) = endpoint.spec().path_ids().next() else { return };
    let response = same_as_missing(endpoint, ours.get(name), |id| request(endpoint, &theirs.with(name, id)));
    response.expect_error(404, &not_found(name));
}

fn unknown_body_ids_are_not_found(endpoint: Endpoint, ours: &Ids, theirs: &Ids) {
    if endpoint.spec().body.is_none() {
        return;
    }
    for name in id_names(&TestRequest::example(endpoint).body()) {
        let response = same_as_missing(endpoint, ours.get(&name), |id| request(endpoint, &theirs.with(&name, id)));
        response.expect_error(404, &not_found(&name));
    }
}

fn unknown_imports_are_not_found(endpoint: Endpoint, ours: &Ids, theirs: &Ids) {
    let spec = endpoint.spec();
    if !spec.headers.contains(&Header::ImportId) {
        return;
    }
    // One request for both ids, so that the responses can be equal.
    let mut request = request(endpoint, theirs);
    if spec.query.contains(&param::DRY_RUN) {
        request = request.query("dry_run=true");
    }
    let response = same_as_missing(endpoint, ours.get("import_id"), |id| request.clone().header("x-import-id", id));
    if spec.requires_import() {
        response.expect_error(404, "Import not found");
    } else {
        let warning = response.json()["warning"].clone();
        assert_eq!(warning, "Contacts inserted/updated, but bulk attach to import failed: import not found");
    }
}

fn unknown_filters_find_nothing(endpoint: Endpoint, ours: &Ids, theirs: &Ids) {
    for param in endpoint.spec().query {
        if param.kind != ParamKind::Uuid || Kind::of_path_id(param.name).is_none() {
            continue;
        }
        let filtered = |id: &str| request(endpoint, theirs).query(&format!("{}={id}", param.name));
        let response = same_as_missing(endpoint, ours.get(param.name), filtered);
        assert_eq!((response.status, &*response.text), (200, "[]"), "{endpoint:?}");
    }
}

fn lists_have_no_foreign_rows(endpoint: Endpoint, ours: &Ids, theirs: &Ids) {
    if !endpoint.spec().success.is_list || endpoint.spec().method != Method::Get {
        return;
    }
    let response = request(endpoint, theirs).key(&API.other.admin_key).send().expect(200);
    for id in ours.0.values().filter(|id| Uuid::try_parse(id).is_ok()) {
        assert!(!response.text.contains(id), "{endpoint:?} lists {id}");
    }
}

#[test]
fn filters_by_text_find_nothing_of_another_organization() {
    let (email, company) = (new_email(), Uuid::new_v4().to_string());
    let mut contact = jane(&email);
    contact["company"] = json!(company);
    post("/contacts/", &contact).send().expect(201);
    for (list, member, value) in [
        (format!("/contacts/?email={email}"), "email", &email),
        (format!("/companies/?name={company}"), "name", &company),
    ] {
        let own = get(&list).send().expect(200).json();
        let foreign = get(&list).key(&API.other.admin_key).send().expect(200).json();

        assert_eq!(own[0][member], json!(value), "{list}");
        assert_eq!(foreign, Value::Array(Vec::new()), "{list}");
    }
}

#[test]
fn an_email_belongs_to_one_contact_per_organization() {
    let contact = jane(&new_email());
    post("/contacts/", &contact).send().expect(201);
    post("/contacts/", &contact).key(&API.other.admin_key).send().expect(201);
}
