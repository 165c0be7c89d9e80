# The configuration against its schema, each mistake as one sentence that names the key.
import jsonschema
import yaml
from snakemake.exceptions import WorkflowError


def mistake(error):
    key = ".".join(str(part) for part in error.absolute_path) or "the configuration"
    meaning = error.schema.get("description")
    return f"{key}: {error.message}" + (f" ({key} is {meaning})" if meaning and error.absolute_path else "")


def check_configuration(given, schema_path):
    if not given:
        raise WorkflowError("no configuration: give --configfile, one of workflows/config or one of your own")
    schema = yaml.safe_load(schema_path.read_text())
    errors = sorted(jsonschema.Draft7Validator(schema).iter_errors(given), key=lambda error: str(error.absolute_path))
    if errors:
        raise WorkflowError("\n".join(mistake(error) for error in errors))
