"""JupyterLab as the course has it.

``make lab`` puts this folder before the configuration of the user, which stays.
"""

from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821

# For classes there is nbgrader. Its buttons take every notebook for an assignment:
# "Validate" finds no test in a lesson, and says "Success!" whatever has been broken.
NBGRADER = ("assignment_list", "course_list", "formgrader", "validate_assignment")
c.ServerApp.jpserver_extensions = {
    f"nbgrader.server_extensions.{name}": False for name in NBGRADER
}


def leave_out_the_kernels_version(model: dict, **_: object) -> None:
    """Keep a notebook from changing because it was opened.

    JupyterLab notes which Python its kernel has.
    """
    if model["type"] != "notebook":
        return
    metadata = model["content"]["metadata"]
    if "language_info" in metadata:
        metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}


c.FileContentsManager.pre_save_hook = leave_out_the_kernels_version

c.LabApp.custom_css = True
c.ServerApp.tornado_settings = {
    "static_custom_path": [str(Path(__file__).parent / "custom")]
}
