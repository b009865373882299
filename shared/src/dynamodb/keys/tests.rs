use super::*;
use crate::domain::api_key::ApiKeySecret;
use crate::domain::{ApiKeyId, ContactPartitions, PartitionChange};

fn org() -> OrgId {
    OrgId::from(Uuid::from_u128(1))
}

#[test]
fn every_key_but_the_api_keys_begins_with_the_organization() {
    let contact_id = ContactId::from(Uuid::from_u128(2));
    let import_id = ImportId::from(Uuid::from_u128(3));
    let email = Email::parse("jane@example.com").unwrap();
    let start = "ORG#00000000-0000-0000-0000-000000000001";
    let company_key = crate::domain::CompanyName::parse("Tech Corp").unwrap().key();
    for key in [
        contact(org(), contact_id),
        email_lock(org(), &email),
        company(org(), &company_key),
        import(org(), import_id),
        membership(org(), import_id, contact_id),
        active_campaigns(org()),
        activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("act_1")),
        lead(org(), LeadKey { campaign_id: Uuid::from_u128(4).into(), contact_id }),
        idempotency(org(), "POST", "/contacts", "k"),
        org_rate_limit(org()),
        api_key_rate_limit(org(), Uuid::from_u128(5).into()),
        api_key_use(org(), Uuid::from_u128(5).into()),
        profile(org()),
        audit_entry(org(), Uuid::from_u128(6).into()),
    ] {
        assert!(key.pk == start || key.pk.starts_with(&format!("{start}#")), "{key:?}");
        assert!(!format!("{key:?}").contains("jane"), "{key:?}");
    }
}

#[test]
fn an_email_lock_is_recognized_by_its_key_alone() {
    let lock = email_lock(org(), &Email::parse("jane@example.com").unwrap());
    // By `printf %s jane@example.com | sha256sum`: locks are stored under this hash.
    assert!(lock.pk.ends_with("#8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"), "{}", lock.pk);
    let (owner, hash) = parse_email_lock(&lock).unwrap();
    assert_eq!((owner, email_lock_of_hash(owner, hash)), (org(), lock.clone()));
    for key in [contact(org(), Uuid::from_u128(2).into()), Key { sk: "OTHER".to_owned(), ..lock }] {
        assert_eq!(parse_email_lock(&key), None, "{key:?}");
    }
}

#[test]
fn the_owner_of_a_partition_is_its_organization() {
    let contact_id = ContactId::from(Uuid::from_u128(2));
    for pk in [contact(org(), contact_id).pk, leads(org(), contact_id).pk] {
        assert_eq!(owner_of_partition(&pk), Some(org()), "{pk}");
    }
    for pk in ["KEY#1", "ORG#", "ORG#1#CONTACT#2", ""] {
        assert_eq!(owner_of_partition(pk), None, "{pk}");
    }
}

#[test]
fn every_partition_key_matches_the_pattern_of_its_kind() {
    let (contact_id, import_id) = (ContactId::from(Uuid::from_u128(2)), ImportId::from(Uuid::from_u128(3)));
    let lead_key = LeadKey { campaign_id: Uuid::from_u128(4).into(), contact_id };
    let [(_, by_campaign), _, (_, by_id), _] = lead_in_indexes(org(), lead_key);
    let [(_, by_organization), _] = api_key_in_index(org(), Uuid::from_u128(5).into());
    let of_organization = [
        contact(org(), contact_id).pk,
        email_lock(org(), &Email::parse("jane@example.com").unwrap()).pk,
        company(org(), &CompanyKey::parse("Tech Corp").unwrap()).pk,
        import(org(), import_id).pk,
        membership(org(), import_id, contact_id).pk,
        campaign(org(), lead_key.campaign_id).pk,
        lead_magnet(org(), Uuid::from_u128(6).into()).pk,
        active_campaigns(org()).pk,
        activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("act_1")).pk,
        lead(org(), lead_key).pk,
        idempotency(org(), "POST", "/contacts", "k").pk,
        by_campaign,
        by_id,
        by_organization,
    ];
    let of_api_key = api_key(&ApiKeySecret::new(false, [0; 24]).hash()).pk;

    for pk in of_organization {
        assert_eq!(kinds(&pk), [Partition::Organization], "{pk}");
    }
    assert_eq!(kinds(&of_api_key), [Partition::ApiKey]);
    for (pk, part) in [
        (profile(org()).pk, Partition::Profile),
        (org_rate_limit(org()).pk, Partition::Usage),
        (api_key_rate_limit(org(), Uuid::from_u128(5).into()).pk, Partition::Usage),
        (api_key_use(org(), Uuid::from_u128(5).into()).pk, Partition::Usage),
        (audit_entry(org(), Uuid::from_u128(6).into()).pk, Partition::Audit),
        (audit_log(org()).pk, Partition::Audit),
    ] {
        assert_eq!(kinds(&pk), [Partition::Organization, part], "{pk}");
    }
    assert_eq!(kinds(&profiles().pk), [], "no function reads the organizations");
}

/// The kinds whose pattern a partition key matches.
fn kinds(pk: &str) -> Vec<Partition> {
    let matches = |partition: &Partition| {
        let pattern = partition.pattern();
        let (start, end) = pattern.split_once('*').unwrap();
        pk.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
    };
    [Partition::ApiKey, Partition::Organization, Partition::Profile, Partition::Usage, Partition::Audit]
        .into_iter()
        .filter(matches)
        .collect()
}

#[test]
fn a_range_contains_its_items_and_no_others() {
    let contact_id = ContactId::from(LAST_V7);
    let holds = |range: &Range, key: &Key| range.pk == key.pk && range.first <= key.sk && key.sk <= range.last;
    assert!(holds(&only_period(None), &contact(org(), contact_id)));
    assert!(!holds(&only_period(None), &import(org(), ImportId::from(LAST_V7))));
    assert!(!holds(&only_period(None), &contact(org(), ContactId::from(Uuid::max()))));
    let activity = activity(org(), contact_id, DateTime::UNIX_EPOCH, &activity_id("zzz"));
    assert!(holds(&activities(org(), contact_id), &activity));
    assert!(!holds(&leads(org(), contact_id), &activity));
    for name in ["!", "Acme", "株式会社アクメ", "\u{10ffff}x"] {
        let company = company(org(), &CompanyKey::parse(name).unwrap());
        assert!(holds(&companies(org()), &company), "{name}");
        assert!(!holds(&only_period(None), &company), "{name}");
    }
}

/// The contacts of an organization that has one partition.
fn only_period(after: Option<DateTime<Utc>>) -> Range {
    let [period] = &contacts(org(), &ContactPartitions::default(), after).collect::<Vec<_>>()[..] else { panic!() };
    let [range] = &period.ranges[..] else { panic!() };
    range.clone()
}

#[test]
fn a_contact_is_in_the_partition_that_its_id_names() {
    let id = |text| ContactId::from(ids::parse_uuid(text).unwrap());
    let start = "ORG#00000000-0000-0000-0000-000000000001";
    for (text, pk) in [
        ("019261b3-6600-7c0a-8500-000000000005", start.to_owned()),
        ("019261b3-6600-8c0a-8100-000000000005", format!("{start}#1")),
        ("019261b3-6600-8c0a-9f00-000000000005", format!("{start}#31")),
    ] {
        let key = contact(org(), id(text));
        assert_eq!(key, Key { pk, sk: format!("CONTACT#{text}") });
        assert_eq!(parse_contact(&key), Some((org(), id(text))));
        assert_eq!(owner_of_partition(&key.pk), Some(org()));
        assert_eq!(kinds(&key.pk), [Partition::Organization]);
        let elsewhere = Key { pk: format!("{start}#2"), ..key };
        assert_eq!(parse_contact(&elsewhere), None);
    }
}

#[test]
fn the_periods_of_contacts_share_no_position_and_leave_none_out() {
    let at = |text: &str| time::parse(text).unwrap();
    let change = |since, count| PartitionChange { since: at(since), count };
    let partitions = ContactPartitions::new(vec![change("2024-10-06T12:00:00Z", 3), change("2024-10-07T12:00:00Z", 2)]);
    let id = |timestamp| Uuid::from_u128(ids::first_uuid_at(at(timestamp)).as_u128() | 0xabc);
    let periods = |after: Option<&str>| contacts(org(), &partitions, after.map(at)).collect::<Vec<_>>();
    let partitions_of = |period: &Period| period.ranges.iter().map(|range| range.pk.clone()).collect::<Vec<_>>();
    let holding = |timestamp| {
        let key = contact(org(), id(timestamp).into());
        periods(None).iter().position(|period| period.ranges[0].contains(&key.sk)).unwrap()
    };

    assert_eq!(periods(None).iter().map(|period| period.ranges.len()).collect::<Vec<_>>(), [2, 3, 1]);
    let start = "ORG#00000000-0000-0000-0000-000000000001";
    assert_eq!(partitions_of(&periods(None)[1]), [start.to_owned(), format!("{start}#1"), format!("{start}#2")]);
    assert_eq!(
        ["2024-10-07T12:00:00Z", "2024-10-07T11:59:59.999Z", "2024-10-06T11:59:59.999Z"].map(holding),
        [0, 1, 2]
    );
    for pair in periods(None).windows(2) {
        assert!(pair[1].ranges[0].last < pair[0].ranges[0].first, "{pair:?}");
    }
    assert_eq!(periods(Some("2024-10-07T11:59:59.998Z")).len(), 2);
    assert_eq!(periods(Some("2024-10-07T11:59:59.999Z")).len(), 1, "the period ends before");
}

/// The greatest id of version 7.
const LAST_V7: Uuid = Uuid::from_u128(0xffff_ffff_ffff_7fff_bfff_ffff_ffff_ffff);

#[test]
fn a_migrated_item_is_indexed_by_its_creation() {
    let at = |text| time::parse(text).unwrap();
    let created_at = at("2021-03-04T05:06:07.089Z");
    let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
    let id = Uuid::new_v4();
    for (key, range, others) in [
        (contact(org(), id.into()), migrated_contacts(org(), None), migrated_imports(org())),
        (import(org(), id.into()), migrated_imports(org()), migrated_campaigns(org())),
        (campaign(org(), id.into()), migrated_campaigns(org()), migrated_contacts(org(), None)),
    ] {
        let attributes: Vec<_> = migrated_in_index(org(), &key, created_at).collect();
        let [(_, pk), (_, sk)] = &attributes[..] else { panic!("{attributes:?}") };
        assert_eq!(parse_migrated_index_sort_key(sk), Some((created_at, id)));
        assert!(holds(&range, pk, sk) && !holds(&others, pk, sk), "{sk}");
        assert_eq!(kinds(pk), [Partition::Organization]);
    }
    let [_, (_, sk)] =
        migrated_in_index(org(), &contact(org(), id.into()), created_at).collect::<Vec<_>>().try_into().unwrap();
    assert!(migrated_contacts(org(), Some(at("2021-03-04T05:06:07.088Z"))).first <= sk);
    assert!(migrated_contacts(org(), Some(created_at)).first > sk);
    assert_eq!(migrated_in_index(org(), &contact(org(), LAST_V7.into()), created_at).count(), 0);
    assert_eq!(parse_contact(&contact(org(), id.into())), Some((org(), id.into())));
}

#[test]
fn the_hash_of_an_api_key_is_read_from_its_key() {
    let hash = ApiKeySecret::new(true, [7; 24]).hash();
    assert_eq!(parse_api_key(&api_key(&hash)), Some(hash));
    assert_eq!(parse_api_key(&contact(org(), LAST_V7.into())), None);
}

#[test]
fn created_after_is_an_exclusive_bound_to_the_millisecond() {
    let bound = time::parse("2024-10-06T12:00:00.500Z").unwrap();
    let created = |timestamp| contact(org(), crate::system::rng().uuid_v7(timestamp).into()).sk;
    let range = only_period(Some(bound));
    assert!(created(bound) < range.first);
    assert!(range.first <= created(bound + chrono::TimeDelta::milliseconds(1)));
}

#[test]
fn a_lead_is_found_in_the_indexes_by_its_campaign_and_by_its_id() {
    let lead_key = |campaign, contact| LeadKey {
        campaign_id: Uuid::from_u128(campaign).into(),
        contact_id: Uuid::from_u128(contact).into(),
    };
    let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
    let [(_, pk1), (_, sk1), (_, pk2), (_, sk2)] = lead_in_indexes(org(), lead_key(7, 8));
    assert_eq!(
        (parse_lead_index_sort_key(&sk1), parse_lead_index_sort_key(&sk2)),
        (Some(lead_key(7, 8)), Some(lead_key(7, 8)))
    );
    assert!(holds(&leads_by_campaign(org(), None), &pk1, &sk1));
    assert!(holds(&leads_by_campaign(org(), Some(lead_key(7, 8).campaign_id)), &pk1, &sk1));
    assert!(!holds(&leads_by_campaign(org(), Some(lead_key(6, 8).campaign_id)), &pk1, &sk1));
    assert!(holds(&leads_by_id(org(), lead_key(7, 8).lead_id()), &pk2, &sk2));
    assert!(!holds(&leads_by_id(org(), lead_key(7, 9).lead_id()), &pk2, &sk2));
    assert!(holds(
        &leads(org(), lead_key(7, 8).contact_id),
        &lead(org(), lead_key(7, 8)).pk,
        &lead(org(), lead_key(7, 8)).sk
    ));
    for sk in ["", "LEAD#", "LEAD#x#y", "CAMPAIGN#1#2", &lead(org(), lead_key(7, 8)).sk] {
        assert_eq!(parse_lead_index_sort_key(sk), None, "{sk}");
    }
}

#[test]
fn an_api_key_is_found_in_the_index_by_its_organization_and_by_its_id() {
    let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
    for id in [Uuid::nil(), Uuid::from_u128(7), Uuid::max()].map(ApiKeyId::from) {
        let [(_, pk), (_, sk)] = api_key_in_index(org(), id);
        assert_eq!(parse_api_key_index_sort_key(&sk), Some(id));
        assert!(holds(&api_keys(org()), &pk, &sk) && holds(&api_key_by_id(org(), id), &pk, &sk), "{id}");
        assert!(!holds(&api_key_by_id(org(), Uuid::from_u128(8).into()), &pk, &sk), "{id}");
        assert!(!holds(&leads_by_campaign(org(), None), &pk, &sk), "{id}");
    }
    assert_eq!(parse_api_key_index_sort_key("LEAD#x"), None);
}

#[test]
fn the_keys_of_profiles_uses_and_audit_entries_name_their_ids() {
    let id = Uuid::from_u128(7);
    let (profile, use_of_key) = (profile(org()), api_key_use(org(), id.into()));
    let entry = audit_entry(org(), id.into());
    assert_eq!(parse_profile(&profile), Some(org()));
    assert_eq!(parse_api_key_use(&use_of_key), Some(id.into()));
    assert_eq!(parse_audit_entry(&entry), Some(id.into()));
    let api_key = api_key(&ApiKeySecret::new(false, [0; 24]).hash());
    for other in [&api_key, &api_key_rate_limit(org(), id.into()), &contact(org(), id.into())] {
        assert_eq!(parse_profile(other), None, "{other:?}");
        assert_eq!(parse_api_key_use(other), None, "{other:?}");
        assert_eq!(parse_audit_entry(other), None, "{other:?}");
    }
    let holds = |range: &Range, pk: &str, sk: &str| range.pk == pk && *range.first <= *sk && *sk <= *range.last;
    let [(_, pk), (_, sk)] = profile_in_index(org());
    assert!(holds(&profiles(), &pk, &sk));
    assert!(holds(&audit_log(org()), &entry.pk, &entry.sk));
    assert!(!holds(&audit_log(org()), &profile.pk, &profile.sk));
}

#[test]
fn a_bound_narrows_a_range() {
    let range = |first: &str, last: &str| Range { pk: String::new(), first: first.to_owned(), last: last.to_owned() };
    let ends = |range: Range| (range.first, range.last);
    let whole = || range("b", "d");
    for (part, first, last) in [
        (whole().starting_at("c"), "c", "d"),
        (whole().starting_at("a"), "b", "d"),
        (whole().ending_at("c"), "b", "c"),
        (whole().ending_at("e"), "b", "d"),
    ] {
        assert!(!part.is_empty());
        assert_eq!(ends(part), (first.to_owned(), last.to_owned()));
    }
    assert!(whole().starting_at("e").is_empty() && whole().ending_at("a").is_empty());
}

#[test]
fn the_sort_key_of_an_activity_names_its_event_time_and_its_id() {
    let event_time = time::parse("2024-04-18T10:15:00.250Z").unwrap();
    let key = activity(org(), ContactId::from(Uuid::from_u128(2)), event_time, &activity_id("act_1:a"));
    assert_eq!(parse_activity_sort_key(&key.sk), Some((event_time, activity_id("act_1:a"))));
    for sk in ["", "ACTIVITY#", "ACTIVITY#2024-04-18T10:15:00.250Z", "ACTIVITY#x#act_1", "LEAD#x"] {
        assert_eq!(parse_activity_sort_key(sk), None, "{sk}");
    }
}

fn activity_id(text: &str) -> ActivityId {
    ActivityId::parse(text).unwrap()
}

#[test]
fn a_memberships_sort_key_names_its_contact() {
    let contact_id = ContactId::from(Uuid::from_u128(2));
    let key = membership(org(), ImportId::from(Uuid::from_u128(3)), contact_id);
    assert_eq!(parse_membership_sort_key(&key.sk), Some(contact_id));
    assert_eq!(parse_membership_sort_key("MEMBER#x"), None);
}

#[test]
fn the_kind_of_a_sort_key_says_nothing_personal() {
    let company = company(org(), &CompanyKey::parse("Jane Doe Ltd").unwrap());
    for (sort_key, kind) in [
        (&*company.sk, "COMPANY"),
        (&*contact(org(), ContactId::from(Uuid::max())).sk, "CONTACT"),
        (&*active_campaigns(org()).sk, "ACTIVE_CAMPAIGNS"),
        ("TOMBSTONE", "TOMBSTONE"),
        ("jane@example.com", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(kind_of_sort_key(sort_key), kind, "{sort_key}");
    }
}
