"""Data of a job beyond the contract: what people and the portal add to it. It is deleted with the job."""
