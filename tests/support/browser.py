"""A real Chromium from Debian, driven by its own driver: a till's screen of a given size, and what it asked for on the way.

Pictures and layout use the one font that the tests install, so that they look the same on every machine.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from device.simulator.paper_picture import find_font
from tests.support.app import until
from tests.support.waiting import PATIENCE_S

CHROMIUM = "/usr/lib/chromium/chromium"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
# Counts every tone before the page's own scripts run.
TONES = """
window.tones = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.tones.push(this.frequency.value); return start.call(this, at); };
"""


def programs() -> tuple[str, str]:
    """Browser and driver. AssertionError that names the command which brings them."""
    browser = os.environ.get("REVERSALD_CHROMIUM", CHROMIUM)
    driver = os.environ.get("REVERSALD_CHROMEDRIVER") or shutil.which("chromedriver") or ""
    assert Path(browser).exists(), "Chromium is missing: run ./dev test, or apt-get install chromium chromium-driver"
    assert Path(driver).exists(), "Chromium's driver is missing: run ./dev test, or apt-get install chromium-driver"
    return browser, driver


class Browser:
    """One window. What is looked up by id waits until it is there."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def size(self, width: int, height: int) -> None:
        """The screen of a till, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, url: str) -> None:
        """Go there."""
        self.driver.get(url)

    def text(self, name: str) -> str:
        """What a person reads in this element now."""
        return str(self.driver.find_element(By.ID, name).text)

    def meaning(self) -> str:
        """The one word that colours the cashier's screen."""
        return str(self.driver.find_element(By.TAG_NAME, "body").get_attribute("data-meaning"))

    def wait(self, holds: Any) -> Any:
        """The first true value of `holds()`."""
        return until(lambda: self._tried(holds), PATIENCE_S, 0.05)

    def _tried(self, holds: Any) -> Any:
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

        try:
            return holds()
        except (NoSuchElementException, StaleElementReferenceException):
            return None

    def shows(self, meaning: str, **texts: str) -> None:
        """Until the screen means this, and its elements hold these texts."""

        def holds() -> bool:
            return self.meaning() == meaning and all(part in self.text(name) for name, part in texts.items())

        try:
            self.wait(holds)
        except AssertionError:
            raise AssertionError(f"wanted {meaning} {texts}, the page says:\n{self.meaning()}\n{self.page()}") from None

    def page(self) -> str:
        """Everything that a person reads."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def press(self, name: str) -> None:
        """Press the button with this id, or whose text this is, as soon as it can be pressed."""
        from selenium.common.exceptions import ElementClickInterceptedException, ElementNotInteractableException

        def pressed() -> bool:
            try:
                self.button(name).click()
            except (ElementClickInterceptedException, ElementNotInteractableException):
                return False
            return True

        self.wait(pressed)

    def press_first(self, name: str, text: str = "") -> None:
        """Press the first button in the element with this id whose text holds `text`."""
        script = """
            const all = Array.from(document.querySelectorAll(`#${arguments[0]} button`));
            const it = all.find(each => each.textContent.includes(arguments[1]));
            if (it) it.click();
            return !!it;
        """
        self.wait(lambda: self.driver.execute_script(script, name, text))

    def button(self, name: str) -> WebElement:
        """A button by its id, its text, or a part of the text where a sheet offers choices."""
        found = self.driver.find_elements(By.ID, name) or [
            each for each in self.driver.find_elements(By.CSS_SELECTOR, "#choices button") if name in each.text
        ]
        return found[0] if found else self.driver.find_element(By.XPATH, f'//button[normalize-space()="{name}"]')

    def type(self, name: str, text: str) -> None:
        """Type into a field."""
        field = self.wait(lambda: self.driver.find_element(By.ID, name))
        field.clear()
        field.send_keys(text)

    def run(self, script: str) -> Any:
        """The value of a piece of script."""
        return self.driver.execute_script(script)

    def tones(self) -> list[float]:
        """The frequencies of every tone that was started since the page was loaded."""
        return [float(each) for each in self.run("return window.tones")]

    def picture(self, path: Path) -> None:
        """The screen as a PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """The address of every request that left since the last call; the browser's own start page is not ours."""
        lines = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        sent = [line["params"] for line in lines if line["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome")]

    def complaints(self) -> list[str]:
        """What the browser itself found wrong since the last call: scripts that failed, and what the policy kept out."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]


@contextmanager
def browser(folder: Path, width: int = 480, height: int = 800) -> Iterator[Browser]:
    """A running browser with a profile of its own, which reaches nothing but this machine."""
    binary, driver_path = programs()
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(fonts=Path(find_font()).parent, cache=folder / "fonts"))
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for argument in (
        "headless=new", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "disable-background-networking",
        "disable-component-update", "hide-scrollbars", "force-color-profile=srgb", "lang=zh-CN",
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"user-data-dir={folder / 'profile'}",
        *(["no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(f"--{argument}")
    service = webdriver.ChromeService(driver_path, env={**os.environ, "FONTCONFIG_FILE": str(fonts)})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": TONES})
        made = Browser(driver)
        made.size(width, height)
        yield made
    finally:
        driver.quit()
