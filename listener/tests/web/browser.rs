//! The page in a real browser.

use std::time::Duration;

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::{NodeState, WebConfig};
use fence_kdump_tests::{Need, requires};

use super::chromium::Browser;
use super::fake::Fake;

const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

/// The text of the row of `node`, if it is there.
fn row(node: &str) -> String {
    format!(
        "[...document.querySelectorAll('#rows tr')].find(row => row.cells[0].innerText === '{node}')?.innerText"
    )
}

/// No part of the page is wider than the window.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

/// The least contrast of any visible text with what is behind it, as WCAG 2.2 reckons it.
const CONTRAST: &str = r"(() => {
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let least = [21, ''];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
        const element = text.parentElement;
        const inert = element.closest('.hidden, .skip, [hidden], noscript, script, button:disabled, title');
        if (!text.data.trim() || inert || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        const front = parse(element.closest('svg') ? style.fill : style.color).rgb;
        let behind = element;
        while (behind && parse(getComputedStyle(behind).backgroundColor).a === 0) behind = behind.parentElement;
        const back = parse(getComputedStyle(behind ?? document.body).backgroundColor).rgb;
        const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < least[0]) least = [contrast, text.data];
    }
    return least;
})()";

fn assert_readable(browser: &mut Browser, what: &str) {
    let least = browser.value(CONTRAST);
    assert!(least[0].as_f64().unwrap() >= 4.5, "{what}: {least}");
    assert!(least[0].as_f64().unwrap() < 21.0, "{what}: there was some text");
}

fn assert_content(browser: &mut Browser, fake: &Fake) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let here = format!("http://{}/", fake.address);
    let asked = browser.asked_for();
    assert!(asked.iter().all(|url| url.starts_with(&here)), "{asked:?}");
    assert!(!asked.is_empty());
}

/// A node crashes, and the page shows it without being loaded again; its dump is drawn. So in light and
/// dark, at a desk and on a phone.
#[test]
fn a_crash_is_seen_as_it_happens() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let fake = Fake::start();
    fake.add(["alpha.example.org", "beta", "gamma"]);
    for (kind, seconds) in [(Kind::Started, 7300), (Kind::Dumping, 7290), (Kind::Finished, 7200)] {
        fake.world().behind = Duration::from_secs(seconds);
        fake.happen("beta", kind);
    }
    fake.world().behind = Duration::ZERO;
    let mut browser = Browser::start();
    let mut grounds = Vec::new();
    for (size, dark, name) in [
        (DESK, false, "desk-light"),
        (DESK, true, "desk-dark"),
        (PHONE, false, "phone-light"),
        (PHONE, true, "phone-dark"),
    ] {
        browser.open(&format!("http://{}/?{name}", fake.address), size, dark);
        browser.wait("document.getElementById('link').innerText === 'live'");
        browser.wait(&format!("{}.includes('finished')", row("beta")));
        browser.value("window.untouched = 1");

        fake.happen("alpha.example.org", Kind::Started);
        let alpha = row("alpha.example.org");
        browser.wait(&format!("{alpha}.includes('started')"));
        browser.wait("document.title === '(1) fence_kdumpd'");
        browser.wait("document.querySelector('#rows tr').innerText.includes('alpha')");
        fake.happen("alpha.example.org", Kind::Dumping);
        browser.wait(&format!("{alpha}.includes('dumping')"));
        for shown in ["37 % of 8.0 GiB", "every 10 s", "s ago", "live", "192.0.2.7"] {
            browser.wait(&format!("{alpha}.includes('{shown}')"));
        }
        browser.wait("document.querySelector('#rows progress').value === 0.375");
        browser.wait("document.querySelector('#latest').innerText.includes('alpha.example.org')");
        assert_eq!(browser.value("window.untouched"), 1, "loaded again");
        assert_eq!(browser.value(FITS), true, "{name}");
        assert_readable(&mut browser, name);
        browser.picture(&format!("{name}-fleet"));

        browser.value("document.querySelector('#rows a').click()");
        browser.wait("document.getElementById('node-title').innerText === 'alpha.example.org'");
        browser.wait("document.querySelectorAll('#timeline svg rect').length >= 2");
        browser.wait("document.querySelectorAll('#timeline svg circle.dumping').length >= 1");
        fake.happen("alpha.example.org", Kind::Finished);
        browser.wait("document.querySelector('#facts').innerText.includes('finished')");
        browser.wait("document.querySelector('#timeline svg circle.finished')");
        browser.wait("document.querySelectorAll('#events li').length % 3 === 0");
        // The dump has a width on the screen, and the words beside it are inside the picture.
        browser.wait("document.querySelector('#timeline rect').getBoundingClientRect().width > 1");
        let inside = "[...document.querySelectorAll('#timeline text')].every(text => { \
                      const [a, b] = [text, text.ownerSVGElement].map(e => e.getBoundingClientRect()); \
                      return a.left >= b.left && a.right <= b.right && a.bottom <= b.bottom; })";
        browser.wait(inside);
        assert_eq!(browser.value(FITS), true, "{name}");
        assert_readable(&mut browser, name);
        browser.picture(&format!("{name}-node"));
        browser.value("history.back()");
        browser.wait(&format!("{alpha}.includes('finished')"));
        assert_eq!(browser.value("window.untouched"), 1, "loaded again");
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1], "dark is like light");
    assert_content(&mut browser, &fake);
}

/// What a node is called is shown, and does nothing.
#[test]
fn names_are_text() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let fake = Fake::start();
    let evil = "<img src=x onerror=\"window.evil=1\">&amp;'`${window.evil=1}";
    fake.add([evil, "javascript:window.evil=1", "../../etc", "a/b?c#d%41", "ünï cödé"]);
    for name in [evil, "a/b?c#d%41"] {
        fake.happen(name, Kind::Started);
    }
    fake.world().summary.troubles.push("<b id=evil>trouble</b>".to_owned());
    fake.world().nodes[4].view.state = NodeState::Candidate;
    fake.world().nodes[4].view.policy = None;
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", fake.address), DESK, false);
    browser.wait("document.querySelectorAll('#rows tr').length === 5");
    browser.wait("document.querySelectorAll('#latest li').length === 2");
    for place in 0..5 {
        browser.value(&format!("document.querySelectorAll('#rows a')[{place}].click()"));
        browser.wait("!document.getElementById('node').hidden");
        browser.wait("document.querySelector('#facts').innerText.includes('State')");
        browser.value("history.back()");
        browser.wait("!document.getElementById('fleet').hidden");
    }
    browser.wait(&format!("{}.includes('not configured')", row("ünï cödé")));
    browser.wait("!document.querySelector('#states [data-state=candidate]').hidden");
    let titles = browser.value("[...document.querySelectorAll('#rows a')].map(a => a.textContent)");
    assert!(titles.as_array().unwrap().iter().any(|title| title == evil), "{titles}");
    assert_eq!(browser.value("document.querySelectorAll('main img, main b, #evil').length"), 0);
    assert_eq!(browser.value("typeof window.evil"), "undefined");
    browser.wait("document.getElementById('troubles').innerText === '<b id=evil>trouble</b>'");
    assert_content(&mut browser, &fake);
}

/// Of 10,000 nodes, those in a dump are shown; any other is found.
#[test]
fn ten_thousand_nodes() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let fake = Fake::start();
    let name = |number: usize| format!("node-{number:05}");
    fake.add((0..10_000).map(name));
    for number in (0..10_000).step_by(3000) {
        fake.happen(&name(number), Kind::Started);
    }
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", fake.address), DESK, false);
    browser.wait("document.querySelectorAll('#rows tr').length === 4");
    browser.wait("document.getElementById('matching').innerText === '4 of 10,000 nodes'");
    browser.value("document.querySelector('#states [data-state=all]').click()");
    browser.wait("document.querySelectorAll('#rows tr').length === 100");
    browser.wait("document.querySelector('#rows tr').className.includes('started')");
    browser.wait("document.getElementById('range').innerText === '1–100 of 10,000'");
    browser.value("document.getElementById('next').click()");
    browser.wait("document.getElementById('range').innerText === '101–200 of 10,000'");
    // By hand, as a person does.
    browser.value("document.activeElement.blur()");
    for (key, code) in [("/", 191), ("0", 48), ("4", 52), ("2", 50), ("4", 52), ("2", 50)] {
        browser.press(key, code);
    }
    browser
        .wait("document.activeElement.id === 'search' && document.activeElement.value === '04242'");
    browser.wait("document.querySelectorAll('#rows tr').length === 1");
    browser.wait(&format!("{}.includes('never heard')", row("node-04242")));
    // And it is shown when it crashes, although there are so many.
    fake.happen("node-04242", Kind::Started);
    browser.wait(&format!("{}.includes('started')", row("node-04242")));
    browser.picture("many");
    assert_content(&mut browser, &fake);
}

/// The keyboard is enough: to a node, to what is known of it, and back.
#[test]
fn by_keyboard_alone() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let fake = Fake::start();
    fake.add(["alpha", "beta"]);
    fake.happen("beta", Kind::Started);
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", fake.address), DESK, false);
    browser.wait("document.querySelectorAll('#rows tr').length === 2");
    let mut seen = Vec::new();
    for _ in 0..30 {
        browser.press("Tab", 9);
        let focus = "document.activeElement.innerText || document.activeElement.id";
        seen.push(browser.value(focus).as_str().unwrap_or_default().to_owned());
        if seen.last().is_some_and(|last| last == "beta") {
            break;
        }
    }
    assert_eq!(seen[0], "To the nodes");
    assert!(seen.iter().any(|one| one == "search"), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "beta", "{seen:?}");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.value(outline), "solid", "where one is can be seen");
    browser.press("Enter", 13);
    browser.wait("document.activeElement.id === 'node-title'");
    browser.press("Escape", 27);
    browser.wait("!document.getElementById('fleet').hidden");
    // Everything that can be used has a name for those who hear the page.
    let tree = browser.call("Accessibility.getFullAXTree", serde_json::json!({}));
    let nameless = |node: &&serde_json::Value| {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let uses = ["button", "link", "searchbox", "textbox", "progressbar", "table", "image"];
        let name = node["name"]["value"].as_str().unwrap_or_default();
        node["ignored"] == false && uses.contains(&role) && name.is_empty()
    };
    let nodes = tree["nodes"].as_array().unwrap();
    assert!(nodes.len() > 30);
    assert_eq!(nodes.iter().find(nameless), None);
}

/// When the daemon does not answer, or is gone, that is told above everything; when it is back, the page
/// goes on by itself.
#[test]
fn a_lost_connection_is_told() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let fake = Fake::start();
    let address = fake.address;
    fake.add(["alpha"]);
    let mut browser = Browser::start();
    browser.open(&format!("http://{address}/"), DESK, false);
    let banner = "document.getElementById('banner')";
    browser.wait(&format!("document.querySelectorAll('#rows tr').length === 1 && {banner}.hidden"));
    browser.value("window.untouched = 1");
    let rule = format!("!{banner}.hidden && {banner}.getAttribute('role') === 'alert'");

    // Its loop hangs.
    fake.hang(Duration::from_secs(12));
    fake.world().nodes[0].view.state = NodeState::Started;
    browser.value("document.querySelector('#states button').click()");
    browser.wait(&format!("{rule} && {banner}.innerText.includes('has not answered')"));
    browser.wait(&format!("{banner}.hidden"));

    // It is gone.
    drop(fake);
    browser.wait(&format!("{rule} && {banner}.innerText.includes('cannot be reached')"));
    browser.wait(&format!("{banner}.innerText.includes(' old.')"));
    browser.wait("document.getElementById('link').innerText === 'connection lost'");
    assert_readable(&mut browser, "banner");
    browser.picture("lost");
    let config = WebConfig { listen: address, ..WebConfig::default() };
    let fake = Fake::start_as(config).unwrap();
    fake.add(["alpha", "beta"]);
    browser.wait(&format!("{banner}.hidden && document.querySelectorAll('#rows tr').length === 2"));
    fake.happen("beta", Kind::Started);
    browser.wait(&format!("{}.includes('started')", row("beta")));
    assert_eq!(browser.value("window.untouched"), 1);

    // It lives and hears nothing.
    fake.world().summary.is_listening = false;
    browser.value("document.querySelector('#states button').click()");
    browser.wait("document.getElementById('troubles').innerText.includes('hears no node')");
}
