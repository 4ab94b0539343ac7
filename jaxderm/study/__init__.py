"""The realism study (Burlina 2020): specialists judge real and generated pictures, blinded, on the local page (extra `study`)."""
