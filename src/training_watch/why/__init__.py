"""Why a job does what it does now (decision), and what became of one path (path). Values; words for people in page."""
