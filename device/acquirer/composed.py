"""Fields that are made of parts, as F60 and F61 are: what a field has of a template like `{type}{batch}000`."""

LENGTHS = {"type": 2, "batch": 6, "stan": 6, "date": 4, "network": 3}  # of each part, in digits


def parts(template: str, text: str) -> dict[str, str]:
    """The parts that the template names, as far as the text reaches."""
    found, at = {}, 0
    while template:
        if template[0] == "{":
            name, _, template = template[1:].partition("}")
            end = at + LENGTHS[name]
            if end <= len(text):
                found[name] = text[at:end]
            at = end
        else:
            template, at = template[1:], at + 1
    return found
