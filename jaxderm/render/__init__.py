"""Rendered people: a training corpus that needs nobody's consent (extra `render`).

sampler draws who and what; body, face, skin, hair, clothes and lesions say what is where in body
space; scene (Mitsuba 3) gives light and hits; shade and camera make the picture; labels and corpus
write it down. Lengths are centimetres, colours linear sRGB, x to the patient's left, y up, z forward.
"""
