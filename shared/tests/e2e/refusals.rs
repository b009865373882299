//! Who is not let in, at every endpoint.

use serde_json::json;
use shared::Endpoint;
use shared::domain::Scope;
use shared::endpoint::Method;
use shared::testing;
use uuid::Uuid;

use crate::client::{
    API, Request, SOON, delete, eventually, get, jane, new_api_key, new_campaign, new_contact, new_email, new_import,
    patch, post, put, rows, until_listed,
};

const UNAUTHORIZED: &str = "Invalid or missing authentication credentials";
const FORBIDDEN: &str = "You do not have permission to access this resource";

/// What the paths of requests name.
struct Named {
    contact_id: String,
    import_id: String,
    campaign_id: String,
    lead_id: String,
    key_id: String,
}

impl Named {
    /// All of it new, with the example's activity.
    fn new() -> Self {
        let (import_id, campaign_id) = (new_import(), new_campaign("paused"));
        let contact = post("/contacts/", &jane(&new_email())).header("x-import-id", &import_id);
        let contact_id = contact.send().expect(201).id();
        let key_id = new_api_key(&["read"]).id();
        let mut named = Self { contact_id, import_id, campaign_id, lead_id: String::new(), key_id };
        request(Endpoint::RecordActivities, &named).send().expect(201);
        request(Endpoint::LinkImports, &named).send().expect(201);
        let leads = rows(&format!("/campaign-leads/?contact_id={}", named.contact_id));
        leads[0]["id"].as_str().unwrap().clone_into(&mut named.lead_id);
        named.wait_for_index();
        named
    }

    /// Of a deployed table, the index that finds a lead by its id follows a moment later.
    fn wait_for_index(&self) {
        let lead = get(&format!("/campaign-leads/{}", self.lead_id));
        eventually(SOON, || if lead.send().status == 404 { Err("the lead is not found".to_owned()) } else { Ok(()) });
    }
}

/// A request that the endpoint would answer with success, were it not for the credential.
fn request(endpoint: Endpoint, named: &Named) -> Request {
    let spec = endpoint.spec();
    let path = format!("{}/", spec.path)
        .replace("{contact_id}", &named.contact_id)
        .replace("{import_id}", &named.import_id)
        .replace("{campaign_id}", &named.campaign_id)
        .replace("{key_id}", &named.key_id)
        .replace("{lead_id}", &named.lead_id)
        .replace("{activity_id}", "act_123");
    let body = match endpoint {
        Endpoint::LinkImports => json!({"import_ids": [named.import_id]}).to_string().into_bytes(),
        _ => testing::TestRequest::example(endpoint).event().body(),
    };
    let request = Request::new(spec.method.as_str(), &path);
    match spec.method {
        Method::Get | Method::Delete => request,
        Method::Post | Method::Put | Method::Patch => request.header("content-type", "application/json").body(body),
    }
}

#[test]
fn a_credential_that_is_not_believed_is_refused_alike() {
    let named = Named::new();
    let org = &API.org;
    for endpoint in Endpoint::ALL {
        let request = request(*endpoint, &named);
        for (what, request) in [
            ("none", request.clone().anonymous()),
            ("an empty key", request.clone().key("")),
            ("an unknown key", request.clone().key(&format!("sk_live_{}", Uuid::new_v4().simple()))),
            ("no key of ours", request.clone().key("1234567890abcdef")),
            ("a revoked key", request.clone().key(&org.revoked_key)),
            ("an expired token", request.clone().bearer(&org.expired_jwt)),
            ("a token without its signature", request.clone().bearer(org.jwt.rsplit_once('.').unwrap().0)),
            ("another scheme", request.clone().anonymous().header("authorization", &format!("Basic {}", org.jwt))),
            ("an unknown key beside a valid token", request.clone().bearer(&org.jwt).key("sk_live_unknown")),
        ] {
            println!("{endpoint:?}: {what}");
            let answer = request.send();
            answer.refused(401, UNAUTHORIZED);
            assert!(answer.header("www-authenticate").starts_with("Bearer "), "{answer:?}");
        }
    }
}

#[test]
fn a_credential_that_may_only_read_may_not_write() {
    let named = Named::new();
    for endpoint in Endpoint::ALL {
        let answer = request(*endpoint, &named).key(&API.org.read_key).send();
        match endpoint.spec().scope {
            Scope::Read => assert_eq!(answer.status, 200, "{answer:?}"),
            Scope::Write | Scope::Admin => answer.refused(403, FORBIDDEN),
        }
    }
    get(&format!("/contacts/{}", named.contact_id)).send().expect(200);
    get(&format!("/imports/{}", named.import_id)).send().expect(200);
    get(&format!("/campaigns/{}", named.campaign_id)).send().expect(200);
}

#[test]
fn a_token_is_as_good_as_a_key() {
    let contact_id = new_contact();
    let answer = get(&format!("/contacts/{contact_id}")).bearer(&API.org.jwt).send().expect(200);
    assert_eq!(answer.json()["org_id"], json!(API.org.org_id));
    post("/contacts/", &jane(&new_email())).bearer(&API.org.jwt).send().expect(201);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, an arm an endpoint")]
fn another_organizations_resource_is_as_if_it_did_not_exist() {
    let nobody = Uuid::now_v7().to_string();
    let Named { contact_id, import_id, campaign_id, lead_id, key_id } = Named::new();
    let email = get(&format!("/contacts/{contact_id}")).send().json()["email"].as_str().unwrap().to_owned();
    let both = |endpoint, to: &dyn Fn(&str) -> Request, theirs: &str| {
        let [foreign, missing] = [theirs, &nobody].map(|id| to(id).key(&API.other.admin_key).send());
        let seen =
            [&foreign, &missing].map(|answer| (answer.status, answer.text.clone(), answer.header("etag").to_owned()));
        assert_eq!(seen[0], seen[1], "{endpoint:?}");
        foreign
    };
    for endpoint in Endpoint::ALL {
        let both = |to: &dyn Fn(&str) -> Request, theirs| both(endpoint, to, theirs);
        match endpoint {
            Endpoint::CreateContact => {
                let create = |id: &str| post("/contacts/", &jane(&new_email())).header("x-import-id", id);
                both(&create, &import_id).refused(404, "Import not found");
            }
            Endpoint::BulkUploadContacts => {
                let rows = json!([jane(&new_email())]);
                let answer =
                    both(&|id| post("/contacts/bulk?dry_run=true", &rows).header("x-import-id", id), &import_id);
                assert!(answer.json()["warning"].as_str().unwrap().starts_with("Import not found"), "{answer:?}");
            }
            Endpoint::GetContact => {
                both(&|id| get(&format!("/contacts/{id}")), &contact_id).refused(404, "Contact not found");
            }
            Endpoint::UpdateContact => {
                let update = |id: &str| put(&format!("/contacts/{id}"), &json!({"full_name": "John Doe"}));
                both(&update, &contact_id).refused(404, "Contact not found");
            }
            Endpoint::DeleteContact => {
                both(&|id| delete(&format!("/contacts/{id}")), &contact_id).refused(404, "Contact not found");
            }
            Endpoint::ListContacts => {
                let answer = both(&|id| get(&format!("/contacts/?import_id={id}")), &import_id);
                assert_eq!((answer.status, &*answer.text), (200, "[]"));
                let answer = get(&format!("/contacts/?email={email}")).key(&API.other.admin_key).send();
                assert_eq!((answer.status, &*answer.text), (200, "[]"));
            }
            Endpoint::GetImport => {
                both(&|id| get(&format!("/imports/{id}")), &import_id).refused(404, "Import not found");
            }
            Endpoint::UpdateImport => {
                let update = |id: &str| put(&format!("/imports/{id}"), &json!({"status": "failed"}));
                both(&update, &import_id).refused(404, "Import not found");
            }
            Endpoint::DeleteImport => {
                both(&|id| delete(&format!("/imports/{id}")), &import_id).refused(404, "Import not found");
            }
            Endpoint::ListImports => {
                let answer = get("/imports/?limit=200").key(&API.other.admin_key).send().expect(200);
                assert!(!answer.text.contains(&import_id), "{answer:?}");
            }
            Endpoint::RecordActivities => {
                let activity = json!({"event_time": "2024-04-18T10:15:00Z", "event_type": "replied"});
                let record = |id: &str| post(&format!("/contacts/{id}/activities"), &activity);
                both(&record, &contact_id).refused(404, "Contact not found");
            }
            Endpoint::UpdateActivity => {
                let clicked = json!({"metadata": {"clicked": true}});
                let update = |id: &str| patch(&format!("/contacts/{id}/activities/act_123"), &clicked);
                both(&update, &contact_id).refused(404, "Contact not found");
            }
            Endpoint::GetCampaign => {
                both(&|id| get(&format!("/campaigns/{id}")), &campaign_id).refused(404, "Campaign not found");
            }
            Endpoint::UpdateCampaign => {
                let update = |id: &str| put(&format!("/campaigns/{id}"), &json!({"status": "active"}));
                both(&update, &campaign_id).refused(404, "Campaign not found");
            }
            Endpoint::DeleteCampaign => {
                both(&|id| delete(&format!("/campaigns/{id}")), &campaign_id).refused(404, "Campaign not found");
            }
            Endpoint::ListCampaigns => {
                let answer = get("/campaigns/?limit=200").key(&API.other.admin_key).send().expect(200);
                assert!(!answer.text.contains(&campaign_id), "{answer:?}");
            }
            Endpoint::ListCompanies => {
                let mut of_company = jane(&new_email());
                of_company["company"] = json!(nobody);
                post("/contacts/", &of_company).send().expect(201);
                let list = get(&format!("/companies/?name={nobody}"));
                assert_eq!(list.send().expect(200).json()[0]["name"], json!(nobody));
                let answer = list.key(&API.other.admin_key).send();
                assert_eq!((answer.status, &*answer.text), (200, "[]"));
            }
            Endpoint::ListApiKeys => {
                let answer = get("/api-keys/").key(&API.other.admin_key).send().expect(200);
                assert!(!answer.text.contains(&key_id), "{answer:?}");
            }
            Endpoint::RevokeApiKey => {
                both(&|id| delete(&format!("/api-keys/{id}")), &key_id).refused(404, "API key not found");
            }
            Endpoint::LinkImports => {
                let link = |campaign: &str, import: &str| {
                    post(&format!("/campaign-imports/{campaign}/imports"), &json!({"import_ids": [import]}))
                };
                both(&|id| link(id, &import_id), &campaign_id).refused(404, "Campaign not found");
                let own = post("/campaigns/", &json!({"name": "Q1"})).key(&API.other.admin_key).send().expect(201).id();
                both(&|id| link(&own, id), &import_id).refused(404, "Import not found");
            }
            Endpoint::ListCampaignLeads => {
                for name in ["campaign_id", "contact_id"] {
                    let theirs = if name == "campaign_id" { &campaign_id } else { &contact_id };
                    let answer = both(&|id| get(&format!("/campaign-leads/?{name}={id}")), theirs);
                    assert_eq!((answer.status, &*answer.text), (200, "[]"));
                }
                let answer = get("/campaign-leads/").key(&API.other.admin_key).send().expect(200);
                assert!(!answer.text.contains(&lead_id), "{answer:?}");
            }
            Endpoint::GetCampaignLead => {
                both(&|id| get(&format!("/campaign-leads/{id}")), &lead_id).refused(404, "Lead not found");
            }
            Endpoint::UpdateCampaignLead => {
                let update = |id: &str| patch(&format!("/campaign-leads/{id}"), &json!({"lead_status": "ended"}));
                both(&update, &lead_id).refused(404, "Lead not found");
            }
            // They name nothing that exists.
            Endpoint::CreateImport | Endpoint::CreateCampaign | Endpoint::CreateApiKey => {}
        }
    }
    let answer = get(&format!("/contacts/{contact_id}")).send().expect(200);
    assert_eq!(answer.json()["full_name"], json!("Jane Doe"));
    let timeline = get(&format!("/contacts/{contact_id}?campaign_id=any")).send().expect(200).json();
    assert_eq!(timeline["activities"].as_array().unwrap().len(), 2, "{timeline}");
    assert_eq!(timeline["activities"][0]["metadata"]["clicked"], json!(false));
    let import = get(&format!("/imports/{import_id}")).send().expect(200).json();
    assert_eq!(import["status"], json!("pending"));
    let campaign = get(&format!("/campaigns/{campaign_id}")).send().expect(200).json();
    assert_eq!(campaign["status"], json!("paused"));
    assert_eq!(until_listed(&key_id)["revoked_at"], json!(null));
    let lead = get(&format!("/campaign-leads/{lead_id}")).send().expect(200).json();
    assert_eq!(lead["lead_status"], json!("pending"));
    // The same address is another contact's there.
    post("/contacts/", &jane(&email)).key(&API.other.admin_key).send().expect(201);
}
