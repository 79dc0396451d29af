"""The attacks, what each is in OWASP ASVS 5.0, and the tests that make it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """`tests` are files, or tests of a file as pytest names them. `refused` says that it once got
    in; others were always held off.
    """

    id: str
    what: str
    asvs: str
    tests: tuple[str, ...]
    refused: bool = True


ATTACKS = (
    Attack(
        "H1",
        "A page's key takes a backend's idempotency key before it, or finds out what stands for it",
        "8.2.2, 2.3.2",
        ("tests/attacks/test_idempotency_keys.py",),
    ),
    Attack(
        "H2",
        "One body of a megabyte of lists makes all others wait",
        "2.4.1, 15.2.2",
        ("tests/attacks/test_large_events.py", "tests/attacks/test_longest_wait.py"),
    ),
    Attack(
        "H3",
        "The same is accepted, and stops the workers' tasks",
        "2.2.1, 15.2.2",
        ("tests/integration/test_large_foreign_events.py",),
    ),
    Attack(
        "H4",
        "Such an event makes pages and logs unusable",
        "15.2.2",
        ("tests/attacks/test_looking_at_large_events.py",),
    ),
    Attack(
        "H5",
        "Wrong keys lock right ones out",
        "6.3.1, 4.1.3, 15.3.4",
        ("tests/attacks/test_wrong_keys.py", "tests/security/test_failed_authentication.py"),
    ),
    Attack(
        "H6",
        "A page's key rewrites a person who is known, or fills the storage",
        "8.2.1, 8.2.3, 2.4.1",
        ("tests/attacks/test_publishable_keys.py", "tests/attacks/test_quotas.py"),
    ),
    Attack(
        "M2",
        "Connections that say nothing, half a header, or a body without end",
        "15.2.2",
        ("tests/attacks/test_slow_callers.py",),
    ),
    Attack(
        "M3",
        "Large forms of someone who has not signed in",
        "2.4.1, 15.2.2",
        (
            "tests/attacks/test_answers.py::test_form_of_a_stranger_is_small",
            "tests/attacks/test_slow_callers.py::test_form_without_a_session_is_answered_before_it_is_there",
        ),
    ),
    Attack(
        "M4",
        "Invented methods leave a series of metrics each",
        "4.1.4, 15.2.2",
        ("tests/attacks/test_answers.py::test_invented_methods_make_no_series_of_their_own",),
    ),
    Attack(
        "M6",
        "Answers without the headers that bind a browser, a cookie without TLS",
        "3.3.1, 3.4.1, 3.4.3, 3.4.4, 3.4.6",
        ("tests/attacks/test_answers.py",),
    ),
    Attack(
        "M8",
        "An audit that audits nothing and says that all is well",
        "15.1.2, 15.2.1",
        ("tests/ship/test_audit.py",),
    ),
    Attack(
        "M9",
        "Whoever reaches one service of the compose file reaches all",
        "12.3.5, 13.2.1, 13.2.2, 13.3.2",
        ("tests/ship/test_compose_file.py", "tests/security/test_app_role.py"),
    ),
    Attack(
        "M10",
        "Clear text to Customer.io, alerts or PostgreSQL in production",
        "12.2.1, 12.3.1",
        ("tests/security/test_settings_in_production.py",),
    ),
    Attack(
        "L",
        "Other users and pages of a developer's machine",
        "15.2.3, 13.3.2",
        ("tests/attacks/test_local_users.py", "tests/security/test_codec_server.py"),
    ),
    Attack(
        "routes",
        "Every route with every credential that isn't enough for it",
        "8.2.1, 8.3.1, 9.1.1, 9.1.2",
        (
            "tests/attacks/test_credentials_and_routes.py::test_no_route_lets_in_who_has_no_right_key",
            "tests/attacks/test_credentials_and_routes.py::test_publishable_key_opens_ingestion_and_nothing_else",
            "tests/attacks/test_credentials_and_routes.py::test_no_page_is_shown_without_a_session",
            "tests/api/test_auth.py",
        ),
        refused=False,
    ),
    Attack(
        "tenants",
        "A right key, and the ids of someone else",
        "8.2.2, 8.4.1",
        (
            "tests/attacks/test_credentials_and_routes.py::test_key_of_another_tenant_finds_nothing_of_ours",
            "tests/attacks/test_credentials_and_routes.py::test_ids_that_are_none_are_not_there",
            "tests/api/test_ownership.py",
        ),
        refused=False,
    ),
    Attack(
        "forms",
        "Another site's page sends a form in someone's name, or leads them away",
        "3.5.1, 3.7.2",
        (
            "tests/attacks/test_forms_and_markup.py::test_no_form_of_another_site_is_taken",
            "tests/attacks/test_forms_and_markup.py::test_no_form_is_taken_without_its_token",
            "tests/attacks/test_forms_and_markup.py::test_sign_in_leads_to_no_other_site",
            "tests/console/test_signing_in.py",
        ),
        refused=False,
    ),
    Attack(
        "markup",
        "Markup in events, forms and addresses",
        "1.2.1, 3.2.2, 3.4.3",
        ("tests/attacks/test_forms_and_markup.py::test_markup_is_shown_as_text_on_every_page",),
        refused=False,
    ),
    Attack(
        "shapes",
        "Requests that a proxy and the server would cut apart at different places",
        "4.2.1",
        ("tests/attacks/test_request_shapes.py",),
        refused=False,
    ),
    Attack(
        "races",
        "Many at once, where one after the other would be refused",
        "2.3.4, 15.4.2, 8.3.2",
        ("tests/attacks/test_races.py",),
        refused=False,
    ),
    Attack(
        "fuzz",
        "Bodies and parameters made from the API's own document",
        "2.2.1",
        ("tests/api/test_fuzz.py", "tests/integration/test_bad_input.py"),
        refused=False,
    ),
)
